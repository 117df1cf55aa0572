"""Writes packages/networks/test/fixtures/dit.json: outputs and gradients of small DiTs in PyTorch, by diffusers' module and by a
twin of the original's.

Run it with a Python that has PyTorch and diffusers: python parity/networks_dit.py
Weights and inputs are not stored: value i of the tensor with a number is `value(number, i)`, here and in the test.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call

CONFIG = dict(
    height=4, width=4, channels=2, outputs=4, classes=3, patch=2, size=8, depth=2, heads=2,
    time=dict(betas="linear", steps=1000),
)  # fmt: skip
TIMES, LABELS = [0, 417, 999], [0, 2, 3]


class Block(nn.Module):
    """adaLN-Zero: shift, scale and gate of the attention, then of the MLP, from the SiLU of the embedding."""

    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(size, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict(dict(qkv=nn.Linear(size, 3 * size), proj=nn.Linear(size, size)))
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(size, 4 * size), fc2=nn.Linear(4 * size, size)))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(size, 6 * size))

    def attend(self, x):
        n, t, size = x.shape
        q, k, v = self.attn["qkv"](x).view(n, t, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.attn["proj"](y.transpose(1, 2).reshape(n, t, size))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).unsqueeze(1).chunk(6, dim=2)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1)
        hidden = self.mlp["fc1"](self.norm2(x) * (1 + scale2) + shift2)
        return x + gate2 * self.mlp["fc2"](nn.functional.gelu(hidden, approximate="tanh"))


class Final(nn.Module):
    def __init__(self, size, to):
        super().__init__()
        self.norm_final = nn.LayerNorm(size, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(size, to)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(size, 2 * size))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).unsqueeze(1).chunk(2, dim=2)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


class Dit(nn.Module):
    """The diffusion transformer with the order and the names of facebookresearch/DiT. Images are square."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        size, patch = config["size"], config["patch"]
        self.x_embedder = nn.ModuleDict(dict(proj=nn.Conv2d(config["channels"], size, patch, patch)))
        self.t_embedder = nn.ModuleDict(dict(mlp=nn.Sequential(nn.Linear(256, size), nn.SiLU(), nn.Linear(size, size))))
        self.y_embedder = nn.ModuleDict(dict(embedding_table=nn.Embedding(config["classes"] + 1, size)))
        self.register_buffer("pos_embed", positions(config["height"] // patch, size)[None])
        self.blocks = nn.ModuleList(Block(size, config["heads"]) for _ in range(config["depth"]))
        self.final_layer = Final(size, patch * patch * config["outputs"])

    def forward(self, z, t, labels):
        x = self.x_embedder["proj"](z)
        n, size, rows, columns = x.shape
        x = x.flatten(2).transpose(1, 2) + self.pos_embed.to(x)
        angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).to(x)
        c = self.t_embedder["mlp"](waves) + self.y_embedder["embedding_table"](labels)
        for block in self.blocks:
            x = block(x, c)
        p = self.config["patch"]
        x = self.final_layer(x, c).view(n, rows, columns, p, p, -1)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(n, -1, rows * p, columns * p)


def positions(side, size):
    """The table for a square of tokens: half of a token's numbers are of its column, then half of its row."""
    # It is no parameter, so it has its values where those have none yet.
    float64 = dict(dtype=torch.float64, device="cpu")
    omega = 10000.0 ** (-torch.arange(size // 4, **float64) / (size // 4))
    waves = torch.arange(side, **float64)[:, None] * omega
    waves = torch.cat([waves.sin(), waves.cos()], dim=1)
    columns, rows = waves.repeat(side, 1), waves.repeat_interleave(side, dim=0)
    return torch.cat([columns, rows], dim=1).float()


def shapes(config):
    """The names and shapes of our parameters."""
    size, square = config["size"], config["patch"] ** 2
    linears = {
        "lambda.linear1": (256, size), "lambda.linear2": (size, size), "patch": (square * config["channels"], size),
        "out.modulation": (size, 2 * size), "out.linear": (size, square * config["outputs"]),
    }  # fmt: skip
    for i in range(config["depth"]):
        block = dict(qkv=(size, 3 * size), out=(size, size), mlp1=(size, 4 * size), mlp2=(4 * size, size))
        linears |= {f"block.{i}.{name}": shape for name, shape in (block | dict(modulation=(size, 6 * size))).items()}
    found = {"class.table": [config["classes"] + 1, size]}
    for name, shape in linears.items():
        found |= {f"{name}.kernel": list(shape), f"{name}.bias": [shape[1]]}
    return dict(sorted(found.items()))


def convolution(config, kernel):
    p = config["patch"]
    return kernel.view(p, p, config["channels"], config["size"]).permute(3, 2, 0, 1)


def original(config, weights):
    """Our weights under the names of the original."""
    state = {"y_embedder.embedding_table.weight": weights["class.table"]}

    def linear(theirs, ours, change=torch.t):
        state[f"{theirs}.weight"] = change(weights[f"{ours}.kernel"])
        state[f"{theirs}.bias"] = weights[f"{ours}.bias"]

    linear("x_embedder.proj", "patch", lambda kernel: convolution(config, kernel))
    linear("t_embedder.mlp.0", "lambda.linear1")
    linear("t_embedder.mlp.2", "lambda.linear2")
    names = {"attn.qkv": "qkv", "attn.proj": "out", "mlp.fc1": "mlp1", "mlp.fc2": "mlp2", "adaLN_modulation.1": "modulation"}
    for i in range(config["depth"]):
        for theirs, ours in names.items():
            linear(f"blocks.{i}.{theirs}", f"block.{i}.{ours}")
    linear("final_layer.adaLN_modulation.1", "out.modulation")
    linear("final_layer.linear", "out.linear")
    return state


def of_diffusers(config, weights):
    """Our weights under the names of diffusers, which embeds time and class anew in every block."""
    state = {}

    def linear(theirs, ours, change=torch.t):
        state[f"{theirs}.weight"] = change(weights[f"{ours}.kernel"])
        state[f"{theirs}.bias"] = weights[f"{ours}.bias"]

    linear("pos_embed.proj", "patch", lambda kernel: convolution(config, kernel))
    for i in range(config["depth"]):
        block, own = f"transformer_blocks.{i}", f"block.{i}"
        linear(f"{block}.norm1.emb.timestep_embedder.linear_1", "lambda.linear1")
        linear(f"{block}.norm1.emb.timestep_embedder.linear_2", "lambda.linear2")
        state[f"{block}.norm1.emb.class_embedder.embedding_table.weight"] = weights["class.table"]
        linear(f"{block}.norm1.linear", f"{own}.modulation")
        kernels = weights[f"{own}.qkv.kernel"].chunk(3, dim=1)
        biases = weights[f"{own}.qkv.bias"].chunk(3)
        for name, kernel, bias in zip("qkv", kernels, biases):
            state[f"{block}.attn1.to_{name}.weight"], state[f"{block}.attn1.to_{name}.bias"] = kernel.t(), bias
        linear(f"{block}.attn1.to_out.0", f"{own}.out")
        linear(f"{block}.ff.net.0.proj", f"{own}.mlp1")
        linear(f"{block}.ff.net.2", f"{own}.mlp2")
    linear("proj_out_1", "out.modulation")
    linear("proj_out_2", "out.linear")
    return state


def diffusers_module(config):
    from diffusers import DiTTransformer2DModel

    return DiTTransformer2DModel(
        num_attention_heads=config["heads"], attention_head_dim=config["size"] // config["heads"],
        in_channels=config["channels"], out_channels=config["outputs"], num_layers=config["depth"],
        sample_size=config["height"], patch_size=config["patch"], num_embeds_ada_norm=config["classes"],
        norm_eps=1e-6,
    )  # fmt: skip


def value(number, i):
    """A number in [-1, 1) that looks random."""
    x = math.sin(12.9898 * (i + 1) + 78.233 * (number + 1)) * 43758.5453
    return 2 * (x - math.floor(x)) - 1


def tensor(number, shape, scale=1.0):
    values = [scale * value(number, i) for i in range(math.prod(shape))]
    # Through float32, in which the network has them.
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape)


def numbers_of(t):
    return [float(f"{x:.6g}") for x in t.detach().flatten().tolist()]


def golden(config, module, state_of):
    weights = {
        name: tensor(10 + i, shape, 0.5).requires_grad_() for i, (name, shape) in enumerate(shapes(config).items())
    }
    n, h, w = len(TIMES), config["height"], config["width"]
    z = tensor(0, [n, h, w, config["channels"]]).requires_grad_()
    dy = tensor(1, [n, h, w, config["outputs"]])
    state = dict(module.double().eval().named_buffers()) | state_of(config, weights)
    given = (z.permute(0, 3, 1, 2), torch.tensor(TIMES), torch.tensor(LABELS))
    output = functional_call(module, state, given, strict=True)
    output = (output if torch.is_tensor(output) else output.sample).permute(0, 2, 3, 1)
    (output * dy).sum().backward()
    gradients = {"z": numbers_of(z.grad)} | {name: numbers_of(weight.grad) for name, weight in weights.items()}
    return dict(config=config, output=numbers_of(output), gradients=gradients)


def main():
    shifted = CONFIG | dict(time=CONFIG["time"] | dict(shift=1))
    fixture = dict(
        times=TIMES, condition=LABELS, shapes=shapes(CONFIG),
        original=golden(CONFIG, Dit(CONFIG), original),
        diffusers=golden(shifted, diffusers_module(shifted), of_diffusers),
    )  # fmt: skip
    path = Path(__file__).parent.parent / "packages/networks/test/fixtures/dit.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()

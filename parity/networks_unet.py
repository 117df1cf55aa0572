"""Writes packages/networks/test/fixtures/unets.json: outputs and gradients of small U-Nets in PyTorch, by diffusers' UNet2DModel and
by twins of guided-diffusion's UNetModel, SuperResModel and EncoderUNetModel.

Run it with a Python that has PyTorch and diffusers: python parity/networks_unet.py
No package index carries guided-diffusion. Of each case, 64 channels wide, the twin was held to its modules at commit 22e0df8 in
float32: outputs and all gradients were the same to the last bit.
Weights and inputs are not stored: value i of the tensor with a number is `value(number, i)`, here and in the test.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call

from networks_dit import numbers_of, tensor

TIMES = [0, 417, 999]


class Sequence(nn.Sequential):
    """Layers in a row, of which blocks take the embedding too."""

    def forward(self, x, emb):
        for layer in self:
            x = layer(x, emb) if isinstance(layer, Block) else layer(x)
        return x


class Block(nn.Module):
    """ADM's residual block, which may halve or double height and width before its first convolution."""

    def __init__(self, config, inputs, outputs, resample=None):
        super().__init__()
        embedding, groups, rate = 4 * config["base"], config["groups"], config.get("dropout", 0)
        self.resample = resample
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), conv(inputs, outputs))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outputs))
        norm = nn.GroupNorm(groups, outputs)
        self.out_layers = nn.Sequential(norm, nn.SiLU(), nn.Dropout(rate), conv(outputs, outputs))
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def resized(self, x):
        if self.resample == "down":
            return nn.functional.avg_pool2d(x, 2)
        return nn.functional.interpolate(x, scale_factor=2) if self.resample == "up" else x

    def forward(self, x, emb):
        norm, silu, first = self.in_layers
        h = first(self.resized(silu(norm(x))))
        scale, shift = self.emb_layers(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        return self.skip_connection(self.resized(x)) + self.out_layers[1:](h)


def attend(qkv, heads, order):
    """Attention of [n, 3 c, t], whose channels are (head, q|k|v, d), `legacy`, or (q|k|v, head, d), `new`."""
    n, channels, t = qkv.shape
    d = channels // (3 * heads)
    parts = qkv.view(n, heads, 3, d, t).unbind(2) if order == "legacy" else qkv.view(n, 3, heads, d, t).unbind(1)
    q, k, v = (part.transpose(2, 3) for part in parts)
    y = nn.functional.scaled_dot_product_attention(q, k, v)
    return y.transpose(2, 3).reshape(n, heads * d, t)


class Attention(nn.Module):
    def __init__(self, config, channels, order):
        super().__init__()
        self.heads, self.order = heads_of(config, channels), order
        self.norm = nn.GroupNorm(config["groups"], channels)
        self.qkv, self.proj_out = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        mixed = attend(self.qkv(self.norm(x).flatten(2)), self.heads, self.order)
        return x + self.proj_out(mixed).view(x.shape)


class AttentionPool(nn.Module):
    def __init__(self, config, channels, pixels):
        super().__init__()
        self.heads = heads_of(config, channels)
        self.positional_embedding = nn.Parameter(torch.empty(channels, pixels + 1))
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, config["classes"], 1)

    def forward(self, x):
        x = x.flatten(2)
        x = torch.cat([x.mean(2, keepdim=True), x], dim=2) + self.positional_embedding
        return self.c_proj(attend(self.qkv_proj(x), self.heads, "new"))[:, :, 0]


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def heads_of(config, channels):
    return channels // config["headChannels"] if "headChannels" in config else config.get("heads", 1)


class Guided(nn.Module):
    """The U-Net of guided-diffusion, its classifier or its upsampler, with their order and names, for `resblock_updown` and
    `use_scale_shift_norm`. Images are square."""

    def __init__(self, config, kind="unet", order="new"):
        super().__init__()
        self.config, self.kind, self.order = config, kind, order
        base, blocks, groups = config["base"], config["blocks"], config["groups"]
        widths = [int(base * multiplier) for multiplier in config["multipliers"]]
        sides = [config["height"] // 2**level for level in range(len(widths))]
        attends = [side in config["attention"] for side in sides]
        self.time_embed = nn.Sequential(nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, 4 * base))
        if kind != "noisy-classifier" and config["classes"] > 0:
            self.label_emb = nn.Embedding(config["classes"], 4 * base)

        def row(inputs, level, *after):
            layers = [Block(config, inputs, widths[level])] + [Attention(config, widths[level], order)] * attends[level]
            return Sequence(*layers, *after)

        images = 2 if kind == "super-resolution" else 1
        self.input_blocks = nn.ModuleList([Sequence(conv(images * config["channels"], widths[0]))])
        kept = [widths[0]]
        for level, width in enumerate(widths):
            for _ in range(blocks):
                self.input_blocks.append(row(kept[-1], level))
                kept.append(width)
            if level + 1 < len(widths):
                self.input_blocks.append(Sequence(Block(config, width, width, "down")))
                kept.append(width)
        last = kept[-1]
        middle = Attention(config, last, order)
        self.middle_block = Sequence(Block(config, last, last), middle, Block(config, last, last))
        if kind == "noisy-classifier":
            self.out = nn.Sequential(nn.GroupNorm(groups, last), nn.SiLU(), AttentionPool(config, last, sides[-1] ** 2))
            return
        self.output_blocks = nn.ModuleList()
        width = last
        for level in reversed(range(len(widths))):
            for block in range(blocks + 1):
                up = [Block(config, widths[level], widths[level], "up")] if level > 0 and block == blocks else []
                self.output_blocks.append(row(width + kept.pop(), level, *up))
                width = widths[level]
        self.out = nn.Sequential(nn.GroupNorm(groups, width), nn.SiLU(), conv(width, config["outputs"]))

    def forward(self, z, t, labels=None, low=None):
        if low is not None:
            z = torch.cat([z, nn.functional.interpolate(low, z.shape[2:], mode="bilinear")], dim=1)
        half = self.config["base"] // 2
        angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        emb = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1).to(z))
        if hasattr(self, "label_emb"):
            emb = emb + self.label_emb(labels)
        kept, x = [], z
        for block in self.input_blocks:
            x = block(x, emb)
            kept.append(x)
        x = self.middle_block(x, emb)
        for block in getattr(self, "output_blocks", []):
            x = block(torch.cat([x, kept.pop()], dim=1), emb)
        return self.out(x)


def diffusers_module(config):
    from diffusers import UNet2DModel

    sides = [config["height"] // 2**level for level in range(len(config["multipliers"]))]
    attends = ["Attn" if side in config["attention"] else "" for side in sides]
    return UNet2DModel(
        sample_size=config["height"], in_channels=config["channels"], out_channels=config["outputs"],
        block_out_channels=tuple(int(config["base"] * multiplier) for multiplier in config["multipliers"]),
        layers_per_block=config["blocks"], norm_num_groups=config["groups"], norm_eps=config["epsilon"],
        down_block_types=tuple(f"{each}DownBlock2D" for each in attends),
        up_block_types=tuple(f"{each}UpBlock2D" for each in reversed(attends)),
        # The settings of google/ddpm-cifar10-32.
        attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
    )  # fmt: skip


def units(config):
    """Our units and where they stand in guided-diffusion's and in diffusers' networks."""
    blocks, levels = config["blocks"], len(config["multipliers"])
    found, place = {}, 1
    for level in range(levels):
        attends = config["height"] // 2**level in config["attention"]
        for block in range(blocks):
            found[f"down.{level}.block.{block}"] = f"input_blocks.{place}.0", f"down_blocks.{level}.resnets.{block}"
            if attends:
                theirs = f"down_blocks.{level}.attentions.{block}"
                found[f"down.{level}.attention.{block}"] = f"input_blocks.{place}.1", theirs
            place += 1
        if level + 1 < levels:
            found[f"down.{level}.downsample"] = f"input_blocks.{place}.0", f"down_blocks.{level}.downsamplers.0"
            place += 1
    for block in (0, 1):
        found[f"middle.block.{block}"] = f"middle_block.{2 * block}", f"mid_block.resnets.{block}"
    found["middle.attention.0"] = "middle_block.1", "mid_block.attentions.0"
    place = 0
    for level in reversed(range(levels)):
        attends, theirs = config["height"] // 2**level in config["attention"], f"up_blocks.{levels - 1 - level}"
        for block in range(blocks + 1):
            found[f"up.{level}.block.{block}"] = f"output_blocks.{place}.0", f"{theirs}.resnets.{block}"
            if attends:
                found[f"up.{level}.attention.{block}"] = f"output_blocks.{place}.1", f"{theirs}.attentions.{block}"
            if level > 0 and block == blocks:
                found[f"up.{level}.upsample"] = f"output_blocks.{place}.{1 + attends}", f"{theirs}.upsamplers.0"
            place += 1
    return found


# Our layers: their names in guided-diffusion and in diffusers.
LAYERS = {
    "norm1": ("in_layers.0", "norm1"), "conv1": ("in_layers.2", "conv1"), "film": ("emb_layers.1", "time_emb_proj"),
    "norm2": ("out_layers.0", "norm2"), "conv2": ("out_layers.3", "conv2"), "skip": ("skip_connection", "conv_shortcut"),
    "norm": ("norm", "group_norm"), "qkv": ("qkv", "qkv"), "out": ("proj_out", "to_out.0"), "": ("", "conv"),
}  # fmt: skip
OTHERS = {
    "lambda.linear1": ("time_embed.0", "time_embedding.linear_1"), "in": ("input_blocks.0.0", "conv_in"),
    "lambda.linear2": ("time_embed.2", "time_embedding.linear_2"), "out.norm": ("out.0", "conv_norm_out"),
    "class": ("label_emb", "class_embedding"), "out": ("out.2", "conv_out"),
    "pool.qkv": ("out.2.qkv_proj", ""), "pool.out": ("out.2.c_proj", ""),
}  # fmt: skip


def places(module, config):
    """Our parameters' names and shapes, the names of theirs that they are, and what makes theirs of ours."""
    peer, own = 0 if isinstance(module, Guided) else 1, {name: p.shape for name, p in module.named_parameters()}
    layers = {ours: names[peer] for ours, names in OTHERS.items()}
    for unit, there in units(config).items():
        layers |= {f"{unit}.{layer}".strip("."): f"{there[peer]}.{names[peer]}" for layer, names in LAYERS.items()}
    for ours, theirs in layers.items():
        split = peer == 1 and ours.endswith("qkv")
        parts = [theirs.replace("qkv", f"to_{part}") for part in "qkv"] if split else [theirs]
        if f"{parts[0]}.weight" not in own:
            continue
        (to, *rest) = own[f"{parts[0]}.weight"]
        to *= len(parts)
        legacy = ".attention." in f".{ours}" and ours.endswith("qkv") and getattr(module, "order", "new") == "legacy"
        order = by_heads(heads_of(config, to // 3)) if legacy else lambda weight: weight
        weights, biases = ([f"{part}.{leaf}" for part in parts] for leaf in ("weight", "bias"))
        if ours == "class":
            table = "condition.class.table" if getattr(module, "kind", "unet") == "super-resolution" else "class.table"
            yield table, [to, *rest], weights, order
            continue
        if not rest:
            yield f"{ours}.gamma", [to], weights, order
            yield f"{ours}.beta", [to], biases, order
            continue
        fro, *window = rest
        if max(window, default=1) > 1:
            yield f"{ours}.kernel", [*window, fro, to], weights, lambda weight: weight.permute(3, 2, 0, 1)
        else:
            yield f"{ours}.kernel", [fro, to], weights, lambda weight, order=order: order(weight.t())
        yield f"{ours}.bias", [to], biases, order
    if "out.2.positional_embedding" in own:
        channels, tokens = own["out.2.positional_embedding"]
        yield "pool.position", [tokens, channels], ["out.2.positional_embedding"], torch.t


def by_heads(heads):
    """Rows (q|k|v, head, d) as (head, q|k|v, d)."""
    return lambda weight: weight.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2)


def state_of(module, config, weights):
    """Our weights as the state of a peer's module."""
    state = {}
    for path, _, names, change in places(module, config):
        for name, part in zip(names, change(weights[path]).chunk(len(names))):
            state[name] = part.reshape(module.get_parameter(name).shape)
    return state


def golden(kind, config, module):
    found = {path: shape for path, shape, _, _ in places(module, config)}
    shapes = dict(sorted(found.items()))
    weights = {path: tensor(10 + i, shape, 0.5).requires_grad_() for i, (path, shape) in enumerate(shapes.items())}
    n, side = len(TIMES), config["height"]
    z = tensor(0, [n, side, side, config["channels"]]).requires_grad_()
    given = dict(labels=[i * 2 % config["classes"] for i in range(n)]) if config["classes"] > 0 else {}
    inputs = [torch.tensor(given["labels"])] if given and kind != "noisy-classifier" else []
    if kind == "super-resolution":
        low = config["low"]
        inputs.append(tensor(2, [n, low["height"], low["width"], config["channels"]]).permute(0, 3, 1, 2))
    state = state_of(module, config, weights)
    output = functional_call(module.double().eval(), state, (z.permute(0, 3, 1, 2), torch.tensor(TIMES), *inputs), strict=True)
    output = output if torch.is_tensor(output) else output.sample
    output = output.permute(0, 2, 3, 1) if output.dim() == 4 else output
    (output * tensor(1, output.shape)).sum().backward()
    gradients = {"z": z.grad} | {path: weight.grad for path, weight in weights.items()}
    return dict(
        network=dict(kind=kind, config=config), times=TIMES, shapes=shapes, **given, output=numbers_of(output),
        gradients={path: numbers_of(gradient) for path, gradient in gradients.items()},
    )  # fmt: skip


SMALL = dict(height=8, width=8, channels=2, base=4, multipliers=[1, 1], blocks=1, attention=[4], middleAttention=True, groups=2)
ADM = SMALL | dict(classes=3, resample="residual", skipBias=True, time=dict(betas="linear", steps=1000))
DENOISER = ADM | dict(outputs=4, nullClass=False)
DDPM = SMALL | dict(
    classes=0, outputs=2, resample="conv-same", scaleShift=False, skipBias=True, epsilon=1e-6,
    time=dict(betas="linear", steps=1000, first="sin", shift=1),
)  # fmt: skip
# A preset of each kind of block, its network at this width, and the order of q, k and v in its file.
CASES = {
    "adm-imagenet64": ("unet", DENOISER | dict(attention=[8, 4], headChannels=2, dropout=0.1), "new"),
    "adm-imagenet512": ("unet", DENOISER | dict(multipliers=[0.5, 1], blocks=2, headChannels=2, groups=1), "legacy"),
    "adm-imagenet64-classifier": ("noisy-classifier", ADM | dict(headChannels=2, pool="attention"), "legacy"),
    "adm-imagenet64-256-upsampler": ("super-resolution", DENOISER | dict(heads=2, low=dict(height=3, width=3)), "legacy"),
}


def main():
    fixture = {name: golden(kind, config, Guided(config, kind, order)) for name, (kind, config, order) in CASES.items()}
    fixture["ddpm-cifar10"] = golden("unet", DDPM, diffusers_module(DDPM))
    path = Path(__file__).parent.parent / "packages/networks/test/fixtures/unets.json"
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()

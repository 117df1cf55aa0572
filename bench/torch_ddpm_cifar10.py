"""The training step of DDPM's network for CIFAR-10 in PyTorch: answers one line of JSON for each line that it is sent."""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch_file import read

warnings.filterwarnings("ignore")
VARIANT = sys.argv[1]
COMPILED, HALF, LAST = "compile" in VARIANT, VARIANT.endswith("bf16"), "last" in VARIANT or "compile" in VARIANT
FORMAT = torch.channels_last if LAST else torch.contiguous_format
given = {}


def load(weights, inputs, learningRate, emaDecay):
    """The network of google/ddpm-cifar10-32 with the weights of a file, which must have all of them and no others."""
    network = UNet2DModel(
        sample_size=32,
        block_out_channels=(128, 256, 256, 256),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    )
    network.load_state_dict(read(weights), strict=True)
    network.to(memory_format=FORMAT)
    tensors = read(inputs)
    t = tensors["t"].long()
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[t].view(-1, 1, 1, 1)
    x, eps = (tensors[name].permute(0, 3, 1, 2).contiguous(memory_format=FORMAT) for name in ("x", "eps"))
    parameters = list(network.parameters())
    given.update(
        network=torch.compile(network) if COMPILED else network,
        batch=(x, eps, t, kept.sqrt().float(), (1 - kept).sqrt().float()),
        parameters=parameters,
        optimizer=torch.optim.Adam(parameters, lr=learningRate, fused=True),
        averages=[p.detach().clone() for p in parameters],
        decay=emaDecay,
    )
    return {"version": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"}


def step():
    x, eps, t, alpha, sigma = given["batch"]
    with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
        (predicted,) = given["network"](alpha * x + sigma * eps, t, return_dict=False)
    loss = F.mse_loss(predicted.float(), eps)
    given["optimizer"].zero_grad(set_to_none=True)
    loss.backward()
    given["optimizer"].step()
    with torch.no_grad():
        torch._foreach_lerp_(given["averages"], given["parameters"], 1 - given["decay"])
    return loss.item()


def turn():
    start = time.perf_counter()
    loss = step()
    return {"ms": 1000 * (time.perf_counter() - start), "loss": loss}


def memory():
    """The most memory that this process held, and what it holds."""
    status = Path("/proc/self/status")
    if not status.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"peakMiB": most, "heldMiB": most}
    fields = dict(line.split(":") for line in status.read_text().splitlines())
    return {name: int(fields[field].split()[0]) / 1024 for name, field in {"peakMiB": "VmHWM", "heldMiB": "VmRSS"}.items()}


COMMANDS = {"load": load, "turn": turn, "memory": memory}
for line in sys.stdin:
    message = json.loads(line)
    try:
        reply = COMMANDS[message.pop("cmd")](**message)
    except Exception as error:  # the other side decides what an error means
        reply = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    print(json.dumps(reply), flush=True)

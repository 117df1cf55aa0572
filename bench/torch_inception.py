"""Inception's features in PyTorch, batch norm folded in: answers one line of JSON for each line that it is sent."""

import json
import resource
import sys
import time
import warnings

import torch
import torch._inductor.config as inductor
import torch.nn.functional as F
from torch_file import read

warnings.filterwarnings("ignore")
VARIANT = sys.argv[1]
FORMAT = torch.contiguous_format if VARIANT == "torch" else torch.channels_last


class Inception(torch.nn.Module):
    """Images [n, 3, 299, 299] to features [n, 2048], of kernels [rows, columns, from, to]."""

    def __init__(self, tensors):
        super().__init__()
        self.layers = torch.nn.ModuleDict()
        for path, kernel in tensors.items():
            if not path.startswith("pool3.") or not path.endswith(".kernel"):
                continue
            name = path[6:-7]
            rows, columns, before, after = kernel.shape
            halves = name in ("conv", "mixed_3.conv", "mixed_3.tower.conv_2", "mixed_8.tower.conv_1", "mixed_8.tower_1.conv_3")
            bare = halves or name in ("conv_1", "conv_4")
            conv = torch.nn.Conv2d(
                before,
                after,
                (rows, columns),
                stride=2 if halves else 1,
                padding=(0, 0) if bare else (rows // 2, columns // 2),
            )
            conv.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
            conv.bias.data = tensors[path[:-6] + "bias"]
            self.layers[name.replace(".", "/")] = conv

    def unit(self, name, x):
        return F.relu(self.layers[name.replace(".", "/")](x), inplace=True)

    def chain(self, x, block, *names):
        for name in names:
            x = self.unit(f"{block}.{name}", x)
        return x

    def pooled(self, x, block, name):
        """Mean and 1×1 convolution in the order that is faster."""
        y = self.layers[f"{block}.{name}".replace(".", "/")](x)
        return F.relu(F.avg_pool2d(y, 3, 1, 1, count_include_pad=False), inplace=True)

    def forward(self, x):
        x = self.unit("conv_2", self.unit("conv_1", self.unit("conv", x)))
        x = F.max_pool2d(x, 3, 2)
        x = F.max_pool2d(self.unit("conv_4", self.unit("conv_3", x)), 3, 2)
        for block in ("mixed", "mixed_1", "mixed_2"):
            tower = self.chain(x, block, "tower.conv", "tower.conv_1")
            tower_1 = self.chain(x, block, "tower_1.conv", "tower_1.conv_1", "tower_1.conv_2")
            x = torch.cat([self.chain(x, block, "conv"), tower, tower_1, self.pooled(x, block, "tower_2.conv")], 1)
        tower = self.chain(x, "mixed_3", "tower.conv", "tower.conv_1", "tower.conv_2")
        x = torch.cat([self.chain(x, "mixed_3", "conv"), tower, F.max_pool2d(x, 3, 2)], 1)
        for block in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
            tower = self.chain(x, block, "tower.conv", "tower.conv_1", "tower.conv_2")
            tower_1 = self.chain(x, block, "tower_1.conv", *(f"tower_1.conv_{i}" for i in range(1, 5)))
            x = torch.cat([self.chain(x, block, "conv"), tower, tower_1, self.pooled(x, block, "tower_2.conv")], 1)
        tower = self.chain(x, "mixed_8", "tower.conv", "tower.conv_1")
        tower_1 = self.chain(x, "mixed_8", "tower_1.conv", *(f"tower_1.conv_{i}" for i in range(1, 4)))
        x = torch.cat([tower, tower_1, F.max_pool2d(x, 3, 2)], 1)
        for block in ("mixed_9", "mixed_10"):
            short = self.chain(x, block, "tower_conv")
            deep = self.chain(x, block, "tower_1_conv", "tower_1_conv_1")
            sides = [self.chain(short, block, f"tower_mixed_conv{end}") for end in ("", "_1")]
            sides += [self.chain(deep, block, f"tower_1_mixed_conv{end}") for end in ("", "_1")]
            if block == "mixed_9":
                pool = self.pooled(x, block, "tower_2_conv")
            else:
                pool = self.chain(F.max_pool2d(x, 3, 1, 1), block, "tower_2_conv")
            x = torch.cat([self.chain(x, block, "conv"), *sides, pool], 1)
        return x.mean((2, 3))


def scaled(images):
    """(byte − 128)/128 at 299×299, as TensorFlow 1 scaled: pixel i lies at i·size/299."""
    x = (images.float() - 128) / 128
    for axis in (2, 3):
        size = x.shape[axis]
        at = torch.arange(299, dtype=torch.float32) * (size / 299)
        low = at.long()
        high = (low + 1).clamp(max=size - 1)
        share = (at - low).view(-1, 1) if axis == 2 else at - low
        x = x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
    return x.contiguous(memory_format=FORMAT)


def bytes_of(count):
    """The same bytes in every racer: a multiplicative generator of Lehmer's."""
    state, values = 1, bytearray(count)
    for i in range(count):
        state = 48271 * state % 2147483647
        values[i] = state % 256
    return torch.frombuffer(values, dtype=torch.uint8)


given = {}


def load(weights, batch):
    model = Inception(read(weights)).eval().to(memory_format=FORMAT)
    if "compile" in VARIANT:
        inductor.freezing = True
        model = torch.compile(model)
    given["model"] = model
    given["images"] = bytes_of(batch * 3072).view(batch, 32, 32, 3).permute(0, 3, 1, 2)
    return {"version": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"}


def run():
    with torch.inference_mode():
        return given["model"](scaled(given["images"])).numpy()


def turn():
    start, before = time.perf_counter(), time.process_time()
    run()
    return {"ms": 1000 * (time.perf_counter() - start), "cpuMs": 1000 * (time.process_time() - before)}


COMMANDS = {
    "features": lambda: {"features": run().flatten().tolist()},
    "turn": turn,
    "memory": lambda: {"peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024},
}

for line in sys.stdin:
    message = json.loads(line)
    command = message.pop("cmd")
    print(json.dumps(load(**message) if command == "load" else COMMANDS[command]()), flush=True)

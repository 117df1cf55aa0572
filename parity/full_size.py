"""One forward pass of a network in PyTorch, for parity/full-size.ts, which writes the request and reads what this prints.

    python parity/full_size.py request.json output.bin

The weights are made by a formula of each parameter's place, here and there: nothing of this size is sent. Prints the seconds
of each pass, on the clock and of all threads, and the most memory of the process as JSON, and writes the last output's float32 numbers.
"""

import json
import math
import resource
import sys
import time

import numpy as np
import torch

import networks_dit
import networks_unet


def numbers(number, count):
    """Numbers in [-1, 1) that look random, with 24 bits each."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(number * 0x85EBCA77 % 2**32)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x2C1B3C6D)
        x ^= x >> np.uint32(12)
        x *= np.uint32(0x297A2D39)
        x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float64) / 2**23 - 1


def tensor(number, shape, scale=1.0, middle=0.0):
    return torch.from_numpy((middle + scale * numbers(number, math.prod(shape))).astype(np.float32)).view(shape)


# The module of a kind of network, and the state of our weights that it takes.
PEERS = {
    "dit": (networks_dit.Dit, lambda module, config, weights: networks_dit.original(config, weights)),
    "unet": (networks_unet.Guided, networks_unet.state_of),
}


def main(request, output):
    with open(request) as file:
        given = json.load(file)
    weights = {name: tensor(*arguments) for name, arguments in given["parameters"].items()}
    make, state_of = PEERS[given["kind"]]
    with torch.device("meta"):
        module = make(given["config"])
    state = state_of(module, given["config"], weights)
    # As a file would have them: each in the order of its own layout.
    state = {name: state.pop(name).contiguous() for name in list(state)}
    del weights
    module.load_state_dict(state, strict=False, assign=True)
    left = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if left:
        raise ValueError(f"{left[0]} of PyTorch's module has no value")
    z = tensor(*given["z"]).permute(0, 3, 1, 2).contiguous()
    t, labels = torch.tensor(given["times"]), torch.tensor(given["labels"])
    seconds, cpu = [], []
    with torch.inference_mode():
        for _ in range(given["runs"]):
            start, used = time.perf_counter(), time.process_time()
            y = module.eval()(z, t, labels)
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - used)
    y.permute(0, 2, 3, 1).contiguous().numpy().tofile(output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(dict(seconds=seconds, cpu=cpu, peak=peak)))


main(*sys.argv[1:])

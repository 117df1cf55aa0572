"""Writes packages/networks/test/fixtures/unet.json: outputs and gradients of the U-Net, computed by its PyTorch twin.

Run it with a Python that has PyTorch: python bench/torch_golden.py
Weights and inputs are not stored: value i of the tensor with a number is `value(number, i)`, here and in the test.
"""

import json
import math
from pathlib import Path

import torch

from torch_unet import Unet, places

CONFIG = dict(
    height=8, width=4, channels=2, classes=3, base=4, multipliers=[1, 2], blocks=1, attention=[4], heads=2, groups=2
)
LAMBDA, LABELS = [-9.0, 0.5, 3.0], [0, 2, 3]


def value(number, i):
    """A number in [-1, 1) that looks random."""
    x = math.sin(12.9898 * (i + 1) + 78.233 * (number + 1)) * 43758.5453
    return 2 * (x - math.floor(x)) - 1


def tensor(number, shape, scale=1.0):
    values = [scale * value(number, i) for i in range(math.prod(shape))]
    # Through float32, in which the network has them.
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape)


def main():
    model = Unet(CONFIG).double()
    found = places(model)
    shapes = {}
    for parameter, name, _ in found:
        o = list(parameter.shape)
        if name.endswith("skip.kernel"):
            shapes[name] = [o[1], o[0]]
        elif name.endswith("kernel"):
            shapes[name] = [o[2], o[3], o[1], o[0]] if len(o) == 4 else [o[1], o[0]]
        else:
            shapes[name] = o
    numbers = {name: 10 + i for i, name in enumerate(sorted(shapes))}
    weights = {name: tensor(numbers[name], shape, 0.5).requires_grad_() for name, shape in shapes.items()}
    for parameter, name, change in found:
        with torch.no_grad():
            parameter.copy_(change(weights[name]))

    n, height, width, channels = len(LABELS), CONFIG["height"], CONFIG["width"], CONFIG["channels"]
    z = tensor(0, [n, height, width, channels]).requires_grad_()
    lam = torch.tensor(LAMBDA, dtype=torch.float64, requires_grad=True)
    dy = tensor(1, [n, height, width, channels])
    output = model(z.permute(0, 3, 1, 2), lam, torch.tensor(LABELS)).permute(0, 2, 3, 1)
    (output * dy).sum().backward()

    def numbers_of(t):
        return [float(f"{x:.6g}") for x in t.detach().flatten().tolist()]

    gradients = {"z": numbers_of(z.grad), "lambda": numbers_of(lam.grad)}
    for parameter, name, change in found:
        (own,) = torch.autograd.grad((change(weights[name]) * parameter.grad).sum(), weights[name])
        gradients[name] = numbers_of(own)
    golden = dict(
        config=CONFIG, condition=LABELS, noise=LAMBDA, shapes=dict(sorted(shapes.items())),
        output=numbers_of(output), gradients=gradients,
    )  # fmt: skip
    path = Path(__file__).parent.parent / "packages/networks/test/fixtures/unet.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)


main()

"""Writes PyTorch's checkpoints for the tests of packages/io, and shows what PyTorch reads from one.

    python parity/checkpoints.py make packages/io/test/fixtures
    python parity/checkpoints.py show FILE

Needs torch. `make` writes files of torch.save with what is in them as JSON, and pickles that must be refused, made by
Python's own pickle. `show` prints the tensors of a file as JSON, read with weights_only=True.
"""

import argparse
import base64
import collections
import io
import json
import os
import pickle
import sys
import zipfile

import torch

STATE = collections.OrderedDict


def ramp(*shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    return (torch.arange(count) * 0.25 - 1).to(dtype).reshape(shape)


def types():
    floats = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
    state = STATE((name, ramp(2, 3, dtype=getattr(torch, name))) for name in floats)
    wholes = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"]
    for name in wholes:
        dtype = getattr(torch, name)
        ends = [torch.iinfo(dtype).min, 7, torch.iinfo(dtype).max]
        state[name] = torch.tensor(ends, dtype=dtype)
    state["bool"] = torch.tensor([True, False])
    state["complex64"] = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex64)
    return state


def views():
    whole = ramp(4, 6)
    state = STATE(whole=whole, transposed=whole.t(), rows=whole[1:3], columns=whole[:, 2:4], every=whole[::2, ::3])
    state["channels_last"] = ramp(1, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    state["expanded"] = ramp(1, 3).expand(2, 3)
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.empty(0, 3)
    state["one"] = ramp(1, 1, 5)
    state["parameter"] = torch.nn.Parameter(ramp(2, 2))
    state["tied"] = state["parameter"]
    return state


def nested():
    linear = torch.nn.Linear(2, 3)
    with torch.no_grad():
        linear.weight.copy_(ramp(3, 2))
        linear.bias.copy_(ramp(3))
    adam = torch.optim.Adam(linear.parameters())
    linear(ramp(1, 2)).sum().backward()
    adam.step()
    return {
        "model": linear.state_dict(),
        "ema": {"weight": ramp(3, 2), "shape": torch.Size([3, 2])},
        "optimizer": adam.state_dict(),
        "history": [torch.tensor(3.0), (torch.tensor([1, 2]), None)],
        "epoch": 3,
        "seed": 2**63 + 1,
        "loss": 0.125,
        "done": False,
        "best": None,
        "note": "two\nlines, naïve",
    }


def script():
    module = torch.jit.script(torch.nn.Linear(1, 1))
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


class Call:
    """Pickled as a call of a function by its name, which whoever loads it makes."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def text(name, *args):
    """A pickle that calls a function by its name, whether it is here or not."""
    module, function = name.rsplit(".", 1)
    arguments = pickle.dumps(args, 2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{function}\n".encode() + arguments + b"R."


def refused():
    """What Python's pickle makes: each is refused, by these words."""
    bomb = "ha"
    for _ in range(60):
        bomb = [bomb] * 10
    ring = {}
    ring["again"] = ring
    deep = {}
    for _ in range(300):
        deep = {"deeper": deep}
    dump = lambda value, protocol=2: pickle.dumps(value, protocol)  # noqa: E731
    return {
        "os.system": (dump(Call(os.system, "touch /tmp/logsnr-was-run")), "posix.system"),
        "builtins.eval": (dump(Call(eval, "1/0"), 4), "builtins.eval"),
        "nt.system": (text("nt.system", "calc"), "nt.system"),
        "subprocess": (text("subprocess.Popen", ["calc"]), "subprocess.Popen"),
        "torch.load": (text("torch.load", "other.pt"), "torch.load"),
        "torch.jit": (text("torch.jit._script.load", "x"), "torch.jit._script.load"),
        "Namespace": (dump({"args": argparse.Namespace(lr=1)}), "argparse.Namespace"),
        "object of protocol 4": (dump({"args": argparse.Namespace(lr=1)}, 4), "argparse.Namespace"),
        "set": (dump({1, 2}, 4), "operation 0x8f"),
        "bytes": (dump(b"abc", 3), "operation 0x43"),
        "bytes of protocol 2": (dump(b"abc", 2), "_codecs.encode"),
        "protocol 0": (dump({"a": 1}, 0), "operation 0x64"),
        "billion laughs": (dump({"laughs": bomb}), "over 786432 values"),
        "ring": (dump(ring), "100 dicts deep"),
        "deep": (dump(deep), "100 dicts deep"),
        "huge integer": (dump(1 << 8_000), "integer of 1001 bytes"),
        "large integer": (dump(1 << 300), "integer of 38 bytes"),
    }


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(2**20))
    return buffer.getvalue()


def numbers(tensor):
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    if tensor.dtype.is_floating_point:
        return tensor.double().flatten().tolist()
    return [str(int(value)) for value in tensor.flatten().tolist()]


def flat(value, path=""):
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from flat(inner, f"{path}.{i}" if path else str(i))


def shown(value):
    return {
        name: {"dtype": str(tensor.dtype)[6:], "shape": list(tensor.shape), "values": numbers(tensor)}
        for name, tensor in flat(value)
    }


def make(folder):
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)  # noqa: E731
    torch.manual_seed(0)
    expected = {}
    for make_state in (types, views, nested):
        name = make_state.__name__
        state = make_state()
        torch.save(state, at(f"{name}.pt"))
        torch.save(state, at(f"legacy-{name}.pt"), _use_new_zipfile_serialization=False)
        expected[name] = shown(state)
    torch.save(views(), at("protocol5.pt"), pickle_protocol=5)
    torch.save(ramp(2), at("tensor.pt"))
    torch.serialization.set_crc32_options(False)
    torch.save(nested(), at("unchecked.pt"))
    torch.serialization.set_crc32_options(True)
    torch.save({"w": ramp(2)}, at("legacy.pt"), _use_new_zipfile_serialization=False)
    torch.save({"w": torch.tensor([1j], dtype=torch.complex128)}, at("complex128.pt"))
    torch.save({"w": torch.quantize_per_tensor(ramp(2), 0.1, 0, torch.qint8)}, at("quantized.pt"))
    torch.save({"w": ramp(2).to_sparse()}, at("sparse.pt"))
    torch.save({"model": {"w": ramp(2)}, "args": argparse.Namespace(lr=0.1)}, at("namespace.pt"))
    torch.save(torch.nn.Linear(1, 1), at("module.pt"))
    for name, data in (("script.pt", script()), ("bomb.pt", bomb())):
        with open(at(name), "wb") as file:
            file.write(data)
    with open(at("expected.json"), "w") as file:
        json.dump(expected, file)
    pickles = [[name, base64.b64encode(data).decode(), words] for name, (data, words) in refused().items()]
    with open(at("refused.json"), "w") as file:
        json.dump(pickles, file, indent=1)


if __name__ == "__main__":
    command, path = sys.argv[1:]
    if command == "make":
        make(path)
    else:
        print(json.dumps(shown(torch.load(path, weights_only=True))))

"""Reads safetensors files."""

import json

import torch

KINDS = {"F32": torch.float32, "I32": torch.int32}


def read(file):
    """The tensors of a safetensors file."""
    with open(file, "rb") as stream:
        data = bytearray(stream.read())
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        first, last = (8 + size + at for at in entry["data_offsets"])
        kind = KINDS[entry["dtype"]]
        tensors[name] = torch.frombuffer(data, dtype=kind, count=(last - first) // 4, offset=first).view(entry["shape"])
    return tensors

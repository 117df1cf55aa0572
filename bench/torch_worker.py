"""One variant of PyTorch in a process of its own: answers one line of JSON for each line that it is sent."""

import json
import os
import resource
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from torch_unet import Unet, alpha_sigma, ddim_step, load_weights

warnings.filterwarnings("ignore")
COMPILED = sys.argv[1] == "torch-compile"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KINDS = {"F32": torch.float32, "I32": torch.int32}
torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


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


class Workload:
    """What a job does: `run` does it once and ends by reading a number of the result, kept in `latest`."""

    def __init__(self, job):
        model = Unet(job["config"])
        load_weights(model, read(job["weights"]))
        model.to(DEVICE)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.model = torch.compile(model) if COMPILED else model
        self.job = job
        inputs = {name: t[: job["batch"]].to(DEVICE) for name, t in read(job["inputs"]).items()}
        for name in ("z", "x", "eps"):
            inputs[name] = inputs[name].permute(0, 3, 1, 2).contiguous()
        self.inputs = {**inputs, "labels": inputs["labels"].long()}
        self.optimizer = torch.optim.Adam(model.parameters(), lr=job["learningRate"])
        self.latest = None

    def run(self):
        self.latest = getattr(self, self.job["case"])()
        self.latest.flatten()[0].item()

    @torch.no_grad()
    def forward(self):
        return self.model(self.inputs["z"], self.inputs["lambda"], self.inputs["labels"])

    def train(self):
        x, eps, lam, labels, dropped = (self.inputs[name] for name in ("x", "eps", "lambda", "labels", "dropped"))
        alpha, sigma = alpha_sigma(lam)
        z = alpha * x + sigma * eps
        labels = torch.where(dropped != 0, self.job["config"]["classes"], labels)
        predicted = sigma * z + alpha * self.model(z, lam, labels)
        loss = F.mse_loss(predicted, eps)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def sample(self):
        z, labels = self.inputs["z"], self.inputs["labels"]
        both = torch.cat([labels, torch.full_like(labels, self.job["config"]["classes"])])
        lambdas, w = self.job["lambdas"], self.job["w"]
        for now, after in zip(lambdas, [*lambdas[1:], None]):
            twice = torch.cat([z, z])
            lam = torch.full((len(both),), now, device=z.device)
            alpha, sigma = alpha_sigma(lam)
            conditional, free = (sigma * twice + alpha * self.model(twice, lam, both)).chunk(2)
            z = ddim_step(z, (1 + w) * conditional - w * free, now, after)
        return z

    def result(self):
        if self.latest.dim() == 0:
            return [self.latest.item()]
        return self.latest[0].permute(1, 2, 0).flatten().tolist()


def timed(workload):
    start = time.perf_counter()
    workload.run()
    return 1000 * (time.perf_counter() - start)


def answer(request, state):
    command = request["cmd"]
    if command == "load":
        state["workload"] = workload = Workload(request["job"])
        where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} threads"
        version = f"torch: PyTorch {torch.__version__}, {where}"
        return {"parameters": workload.parameters, "version": version, "device": DEVICE}
    workload = state["workload"]
    if command == "first":
        return {"ms": timed(workload)}
    if command == "turn":
        start, times = time.perf_counter(), [timed(workload)]
        while 1000 * (time.perf_counter() - start) < request["ms"]:
            times.append(timed(workload))
        return {"times": times}
    if command == "result":
        return {"values": workload.result()}
    if command == "memory":
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peakMiB": kibibytes / (1024 * 1024 if sys.platform == "darwin" else 1024)}
    raise ValueError(f"unknown command {command}")


def main():
    state = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), state)
        except Exception as error:  # the other side decides what an error means
            reply = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(reply), flush=True)


main()

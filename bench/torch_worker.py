"""One rival in a process of its own: answers one line of JSON for each line that it is sent."""

import json
import resource
import sys
import time
import warnings

import torch
import torch._inductor.config as inductor
import torch.nn.functional as F
from torch_file import read
from torch_unet import Unet, alpha_sigma, ddim_step, load_weights

warnings.filterwarnings("ignore")
VARIANT = sys.argv[1]
COMPILED, HALF, LAST = "compile" in VARIANT, VARIANT.endswith("bf16"), "last" in VARIANT or "compile" in VARIANT
FORMAT = torch.channels_last if LAST else torch.contiguous_format
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Workload:
    """What a job does: `run` does it once and ends by reading a number of the result, kept in `latest`."""

    def __init__(self, job):
        model = Unet(job["config"])
        load_weights(model, read(job["weights"]))
        model.to(DEVICE, memory_format=FORMAT)
        self.weights = list(model.parameters())
        self.parameters = sum(p.numel() for p in self.weights)
        self.job = job
        where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{torch.get_num_threads()} threads, its default"
        self.version = f"torch: PyTorch {torch.__version__}, {where}"
        inputs = {name: t[: job["batch"]].to(DEVICE) for name, t in read(job["inputs"]).items()}
        for name in ("z", "x", "eps"):
            inputs[name] = inputs[name].permute(0, 3, 1, 2).contiguous(memory_format=FORMAT)
        self.inputs = {**inputs, "labels": inputs["labels"].long()}
        self.model = self.prepared(model)
        self.optimizer = torch.optim.Adam(self.weights, lr=job["learningRate"], fused=True)
        self.averages = [p.detach().clone() for p in self.weights]
        self.latest = None

    def prepared(self, model):
        """The network as the variant runs it; where nothing is trained, with its weights as constants."""
        if self.job["case"] != "train":
            model.eval()
        if VARIANT == "onnx":
            return self.onnx(model, [self.inputs[name] for name in ("z", "lambda", "labels")])
        if COMPILED:
            inductor.freezing = self.job["case"] != "train"
            return torch.compile(model)
        return model

    def onnx(self, model, inputs):
        """The network in ONNX Runtime, by way of PyTorch's export."""
        import onnxruntime

        program = torch.onnx.export(model, tuple(inputs), dynamo=True, verbose=False)
        data = program.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.version = f"onnx: ONNX Runtime {onnxruntime.__version__}, its default threads"
        feed = {given.name: value.numpy() for given, value in zip(session.get_inputs(), inputs)}
        return lambda *_: torch.from_numpy(session.run(None, feed)[0])

    def run(self):
        trains = self.job["case"] == "train"
        # Around a whole call, so that autocast rounds the weights once in it.
        with torch.inference_mode(not trains), torch.autocast(DEVICE, torch.bfloat16, enabled=HALF and not trains):
            self.latest = getattr(self, self.job["case"])()
        self.latest.flatten()[0].item()

    def predict(self, *inputs):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=HALF):
            return self.model(*inputs).float()

    def forward(self):
        return self.predict(self.inputs["z"], self.inputs["lambda"], self.inputs["labels"])

    def train(self):
        x, eps, lam, labels, dropped = (self.inputs[name] for name in ("x", "eps", "lambda", "labels", "dropped"))
        alpha, sigma = alpha_sigma(lam)
        z = alpha * x + sigma * eps
        labels = torch.where(dropped != 0, self.job["config"]["classes"], labels)
        predicted = sigma * z + alpha * self.predict(z, lam, labels)
        loss = F.mse_loss(predicted, eps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.weights, 1 - self.job["emaDecay"])
        return loss.detach()

    def sample(self):
        z, labels = self.inputs["z"], self.inputs["labels"]
        both = torch.cat([labels, torch.full_like(labels, self.job["config"]["classes"])])
        lambdas, w = self.job["lambdas"], self.job["w"]
        for now, after in zip(lambdas, [*lambdas[1:], None]):
            twice = torch.cat([z, z])
            lam = torch.full((len(both),), now, device=z.device)
            alpha, sigma = alpha_sigma(lam)
            conditional, free = (sigma * twice + alpha * self.predict(twice, lam, both)).chunk(2)
            z = ddim_step(z, (1 + w) * conditional - w * free, now, after)
        return z

    def result(self):
        if self.latest.dim() == 0:
            return [self.latest.item()]
        return self.latest[0].permute(1, 2, 0).flatten().tolist()


def peak(precision):
    """Operations a second of a large matrix product, the best of some."""
    n = 8192 if DEVICE == "cuda" else 2048
    a = torch.randn(n, n, device=DEVICE, dtype=getattr(torch, precision))
    times = []
    for _ in range(9):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        times.append(time.perf_counter() - start)
    return 2 * n**3 / min(times)


def timed(workload):
    start = time.perf_counter()
    workload.run()
    return 1000 * (time.perf_counter() - start)


def answer(request, state):
    command = request["cmd"]
    if command == "peak":
        return {precision: peak(precision) for precision in ("float32", "bfloat16")}
    if command == "load":
        state["workload"] = workload = Workload(request["job"])
        return {"parameters": workload.parameters, "version": workload.version, "device": DEVICE}
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

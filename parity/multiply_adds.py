"""The multiply-adds of peers' own networks, by PyTorch's counter on its meta device: `pnpm describe` counts the same.

python parity/multiply_adds.py [guided-diffusion]   needs torch and diffusers; the folder is a clone of guided-diffusion
"""

import json
import sys

import torch
from diffusers import DiTTransformer2DModel, UNet2DModel
from torch.utils.flop_counter import FlopCounterMode


def image(size, channels=3):
    return torch.zeros(1, channels, size, size, device="meta")


time, label = torch.zeros(1, device="meta"), torch.zeros(1, dtype=torch.long, device="meta")


def multiply_adds(network, *inputs, **named):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs, **named)
    return counter.get_total_flops() // 2


def of_diffusers():
    ddpm = UNet2DModel(
        sample_size=32,
        block_out_channels=(128, 256, 256, 256),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    )
    dit = DiTTransformer2DModel(in_channels=4, out_channels=8, sample_size=32)
    return {
        "ddpm-cifar10": multiply_adds(ddpm, image(32), time),
        "dit-xl-2": multiply_adds(dit, image(32, 4), timestep=time, class_labels=label),
    }


def of_guided_diffusion():
    from guided_diffusion.script_util import create_classifier, create_model, sr_create_model

    shared = dict(
        num_heads=4, num_heads_upsample=-1, learn_sigma=True, use_scale_shift_norm=True, resblock_updown=True
    )

    def adm(size, width, blocks, heads=64, classes=True):
        network = create_model(
            size, width, blocks, class_cond=classes, attention_resolutions="32,16,8", num_head_channels=heads, **shared
        )
        return multiply_adds(network, image(size), time, **({"y": label} if classes else {}))

    def classifier(size, width, blocks):
        network = create_classifier(size, False, width, blocks, "32,16,8", True, True, "attention")
        return multiply_adds(network, image(size), time)

    def upsampler(small, size, resolutions, heads):
        network = sr_create_model(
            size, small, 192, 2, class_cond=True, use_checkpoint=False, attention_resolutions=resolutions,
            num_head_channels=heads, dropout=0, use_fp16=False, **shared,
        )
        return multiply_adds(network, image(size), time, low_res=image(small), y=label)

    return {
        "adm-imagenet64": adm(64, 192, 3),
        "adm-imagenet128": adm(128, 256, 2, heads=-1),
        "adm-imagenet256": adm(256, 256, 2),
        "adm-imagenet256-unconditional": adm(256, 256, 2, classes=False),
        "adm-imagenet512": adm(512, 256, 2),
        "adm-imagenet64-classifier": classifier(64, 128, 4),
        "adm-imagenet128-classifier": classifier(128, 128, 2),
        "adm-imagenet256-classifier": classifier(256, 128, 2),
        "adm-imagenet512-classifier": classifier(512, 128, 2),
        "adm-imagenet64-256-upsampler": upsampler(64, 256, "32,16,8", -1),
        "adm-imagenet128-512-upsampler": upsampler(128, 512, "32,16", 64),
    }


with torch.device("meta"):
    counts = of_diffusers()
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
        counts |= of_guided_diffusion()
print(json.dumps(counts, indent=2))

"""Writes packages/pretrained/test/fixtures: checkpoints of small networks by the peers' own modules and save functions, what those
modules give, and digests of the names and shapes that the published sizes have. Shows that a peer loads what was written back.

    python parity/pretrained.py make PEERS
    python parity/pretrained.py check FOLDER [PEERS]

Needs torch, diffusers, safetensors and timm. PEERS is a folder with checkouts of openai/guided-diffusion (at
22e0df8183507e13a7813f8d38d51b072ca1e67c) and facebookresearch/DiT (at ed81ce2229091fd4ecc9a223645f95cf379d582b). `check` loads what FOLDER has
under the fixtures' names strictly, into the modules that they were made of, and prints the largest difference of each one's output to
that in the fixture. Without PEERS those alone that diffusers has.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

FIXTURES = Path(__file__).parent.parent / "packages/pretrained/test/fixtures"
TIMES = torch.tensor([0, 417, 999])
SMALL = dict(
    image_size=8, model_channels=4, num_res_blocks=1, attention_resolutions=(2,), channel_mult=(1, 2),
    num_head_channels=4, use_scale_shift_norm=True, resblock_updown=True,
)  # fmt: skip


def unets(peers):
    sys.path.insert(0, str(Path(peers) / "guided-diffusion"))
    from guided_diffusion import unet

    return unet


def guided_diffusion(peers, kind, **options):
    unet = unets(peers)
    # Its group norms have 32 groups, which would make the files large. The names stay.
    with mock.patch.object(unet, "normalization", lambda channels: torch.nn.GroupNorm(2, channels)):
        return getattr(unet, kind)(**SMALL, **options)


def adm(peers):
    return guided_diffusion(
        peers, "UNetModel", in_channels=3, out_channels=6, num_classes=4, use_new_attention_order=True
    )


def adm_upsampler(peers):
    return guided_diffusion(peers, "SuperResModel", in_channels=3, out_channels=6, num_classes=4)


def adm_classifier(peers):
    return guided_diffusion(peers, "EncoderUNetModel", in_channels=3, out_channels=4, pool="attention")


def dit(peers):
    sys.path.insert(0, str(Path(peers) / "DiT"))
    from models import DiT

    return DiT(input_size=4, patch_size=2, in_channels=2, hidden_size=8, depth=2, num_heads=2, num_classes=4)


def diffusers_dit(_):
    from diffusers import DiTTransformer2DModel

    return DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=2, out_channels=4, num_layers=2, sample_size=4,
        patch_size=2, num_embeds_ada_norm=4, norm_eps=1e-3,
    )  # fmt: skip


def unet_2d(**options):
    from diffusers import UNet2DModel

    common = dict(sample_size=8, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2)
    return UNet2DModel(**common | options)


def diffusers_unet(_):
    return unet_2d(
        in_channels=1, out_channels=1, attention_head_dim=4, num_class_embeds=11,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def diffusers_ddpm(_):
    return unet_2d(
        attention_head_dim=None, norm_eps=1e-3, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def diffusers_residual(_):
    return unet_2d(
        sample_size=(8, 4), out_channels=6, attention_head_dim=4, resnet_time_scale_shift="scale_shift",
        time_embedding_dim=12, downsample_type="resnet", upsample_type="resnet",
        down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D"),
        add_attention=False,
    )  # fmt: skip


MADE = {
    "adm": adm, "adm-upsampler": adm_upsampler, "adm-classifier": adm_classifier, "dit": dit,
    "diffusers-dit": diffusers_dit, "diffusers-unet": diffusers_unet, "diffusers-ddpm": diffusers_ddpm,
    "diffusers-residual": diffusers_residual,
}  # fmt: skip


def randomised(module, seed):
    """Other values than those of a fresh module, many of which are 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
        for block in getattr(module, "transformer_blocks", []):
            block.norm1.emb.load_state_dict(module.transformer_blocks[0].norm1.emb.state_dict())
    return module.eval()


def inputs_of(name, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = {"dit": (2, 4, 4), "diffusers-dit": (2, 4, 4), "diffusers-unet": (1, 8, 8), "diffusers-residual": (3, 8, 4)}
    inputs = dict(z=torch.randn(3, *shape.get(name, (3, 8, 8)), generator=generator), t=TIMES)
    if name in ("adm", "adm-upsampler"):
        inputs |= dict(labels=torch.tensor([0, 3, 1]))
    if name in ("dit", "diffusers-dit"):
        inputs |= dict(labels=torch.tensor([0, 3, 4]))
    if name == "diffusers-unet":
        inputs |= dict(labels=torch.tensor([0, 9, 10]))
    if name == "adm-upsampler":
        inputs |= dict(low=torch.randn(3, 3, 4, 4, generator=generator))
    return inputs


@torch.no_grad()
def output_of(module, z, t, labels=None, low=None):
    given = [] if labels is None else [labels]
    if low is not None:
        return module(z, t, low_res=low, y=labels)
    if type(module).__name__ == "UNet2DModel" and labels is None:
        return module(z, t).sample
    output = module(z, t, *given)
    return output if torch.is_tensor(output) else output.sample


def nhwc(tensor):
    tensor = tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor
    return tensor.contiguous().float()


def save(name, module):
    """As the peer saves it: half precision, shards, or a file of torch.save among them."""
    from diffusers import DDIMScheduler, DDPMScheduler

    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    if name == "diffusers-dit":
        module.save_pretrained(folder / "transformer")
        DDIMScheduler().save_pretrained(folder / "scheduler")
    elif name == "diffusers-unet":
        module.half().save_pretrained(folder / "unet")
        module.float()
        DDPMScheduler(beta_end=0.03).save_pretrained(folder / "scheduler")
    elif name == "diffusers-ddpm":
        module.save_pretrained(folder, safe_serialization=False)
        DDPMScheduler().save_pretrained(folder)
    elif name == "diffusers-residual":
        module.save_pretrained(folder, max_shard_size="10KB")
        DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="learned_range").save_pretrained(folder)
    else:
        torch.save(module.state_dict(), FIXTURES / f"{name}.pt")


def published(peers):
    """The networks of the presets, without values, by the flags of guided-diffusion's README and the sizes of DiT's."""
    unet = unets(peers)
    multipliers = {64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4), 512: (0.5, 1, 1, 2, 2, 4, 4)}

    def adm(kind, size, channels, blocks, attention=(32, 16, 8), mult=None, **options):
        return getattr(unet, kind)(
            image_size=size, in_channels=3, model_channels=channels, num_res_blocks=blocks,
            attention_resolutions=tuple(size // at for at in attention), channel_mult=mult or multipliers[size],
            use_scale_shift_norm=True, resblock_updown=True, **options,
        )  # fmt: skip

    heads = dict(num_head_channels=64)
    classes = dict(out_channels=6, num_classes=1000)
    yield "adm-imagenet64", adm("UNetModel", 64, 192, 3, **heads, **classes)
    yield "adm-imagenet128", adm("UNetModel", 128, 256, 2, num_heads=4, **classes)
    yield "adm-imagenet256", adm("UNetModel", 256, 256, 2, **heads, **classes)
    yield "adm-imagenet256-unconditional", adm("UNetModel", 256, 256, 2, out_channels=6, **heads)
    yield "adm-imagenet512", adm("UNetModel", 512, 256, 2, **heads, **classes)
    for size in (64, 128, 256, 512):
        blocks = 4 if size == 64 else 2
        end = dict(out_channels=1000, pool="attention")
        yield f"adm-imagenet{size}-classifier", adm("EncoderUNetModel", size, 128, blocks, **heads, **end)
    large = multipliers[256]
    yield "adm-imagenet64-256-upsampler", adm("SuperResModel", 256, 192, 2, mult=large, num_heads=4, **classes)
    options = dict(attention=(32, 16), mult=large) | heads | classes
    yield "adm-imagenet128-512-upsampler", adm("SuperResModel", 512, 192, 2, **options)

    sys.path.insert(0, str(Path(peers) / "DiT"))
    import models

    for name, build in models.DiT_models.items():
        yield name.lower().replace("/", "-"), build()
    from diffusers import DiTTransformer2DModel, UNet2DModel

    yield "diffusers dit-xl-2", DiTTransformer2DModel(out_channels=8)
    ends = [[f"{each}{way}Block2D" for each in ("", "Attn", "", "")] for way in ("Down", "Up")]
    ddpm = UNet2DModel(
        block_out_channels=(128, 256, 256, 256), down_block_types=ends[0], up_block_types=ends[1][::-1],
        attention_head_dim=None, downsample_padding=0,
    )  # fmt: skip
    yield "diffusers ddpm-cifar10", ddpm


def digests(peers):
    """Of the lines "name shape" of each published network."""
    # DiT's table of positions is computed by numpy, and so is not on the device without values.
    torch.Tensor.copy_ = lambda self, _: self
    with torch.device("meta"):
        for name, module in published(peers):
            shapes = {key: ",".join(map(str, value.shape)) for key, value in module.state_dict().items()}
            lines = sorted(f"{key} {shape}" for key, shape in shapes.items())
            yield name, hashlib.sha256("\n".join(lines).encode()).hexdigest()


def make(peers):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    expected = {}
    for seed, (name, made) in enumerate(MADE.items()):
        module = randomised(made(peers), seed)
        save(name, module)
        inputs = inputs_of(name, 100 + seed)
        for key, tensor in (inputs | dict(output=output_of(module, **inputs))).items():
            expected[f"{name}.{key}"] = nhwc(tensor)
    save_file(expected, FIXTURES / "expected.safetensors")
    (FIXTURES / "names.json").write_text(json.dumps(dict(digests(peers)), indent=1) + "\n")


def check(folder, peers=None):
    expected = load_file(FIXTURES / "expected.safetensors")
    differences = {}
    for seed, (name, made) in enumerate(MADE.items()):
        if name.startswith("diffusers"):
            module, info = type(made(peers)).from_pretrained(Path(folder) / name, output_loading_info=True)
            if any(info.values()):
                raise SystemExit(f"{name}: {info}")
        elif peers:
            module = made(peers)
            state = torch.load(Path(folder) / f"{name}.pt", weights_only=True)
            module.load_state_dict(state, strict=True)
        else:
            continue
        output = output_of(module.eval(), **inputs_of(name, 100 + seed))
        differences[name] = (nhwc(output) - expected[f"{name}.output"]).abs().max().item()
    print(json.dumps(differences))


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"make": make, "check": check}[command](*rest)

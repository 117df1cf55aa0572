"""Makes what the tests of @logsnr/onnx read: a small text-conditioned U-Net of diffusers as an ONNX file, and what PyTorch computes with it.

    python parity/onnx_models.py [folder]

It writes unet.onnx and expected.safetensors. The weights are random and the text embeddings made up: nothing is downloaded. With
--width 320 and more the same script exports a U-Net of any size, and so shows how one's own is exported.
"""

import argparse
import pathlib

import onnx
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", default="packages/onnx/test/fixtures", type=pathlib.Path)
parser.add_argument("--width", type=int, default=4, help="channels of the first level")
parser.add_argument("--size", type=int, default=8, help="height and width of the latents")
parser.add_argument("--text", type=int, default=8, help="numbers in a token's embedding")
given = parser.parse_args()
width, size, text = given.width, given.size, given.text
TOKENS = 5

torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=size,
    in_channels=4,
    out_channels=4,
    block_out_channels=(width, 2 * width),
    layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=text,
    attention_head_dim=width // 2,
    norm_num_groups=2 if width < 32 else 32,
).eval()


class Net(torch.nn.Module):
    def forward(self, sample, timestep, encoder_hidden_states):
        return unet(sample, timestep, encoder_hidden_states=encoder_hidden_states, return_dict=False)[0]


n = 3
inputs = {
    "sample": torch.randn(n, 4, size, size),
    "timestep": torch.tensor([999.0, 250.0, 3.0]),
    "encoder_hidden_states": torch.randn(n, TOKENS, text),
}
given.folder.mkdir(parents=True, exist_ok=True)
file = given.folder / "unet.onnx"
batch = torch.export.Dim("batch")
with torch.no_grad():
    program = torch.onnx.export(
        Net().eval(),
        tuple(inputs.values()),
        dynamo=True,
        opset_version=18,
        input_names=list(inputs),
        output_names=["out_sample"],
        dynamic_shapes={name: {0: batch} for name in inputs},
    )
    negative = torch.randn(1, TOKENS, text).repeat(n, 1, 1)
    eps = Net()(*inputs.values())
    eps_negative = Net()(inputs["sample"], inputs["timestep"], negative)
program.optimize()
model = program.model_proto
# What only tells where each node came from.
for node in model.graph.node:
    node.ClearField("doc_string")
    node.ClearField("metadata_props")
    node.ClearField("name")
for field in ("value_info", "metadata_props"):
    model.graph.ClearField(field)
model.ClearField("metadata_props")
onnx.checker.check_model(model)
onnx.save(model, file)
expected = {**inputs, "negative": negative, "eps": eps, "eps_negative": eps_negative}
save_file({name: value.contiguous() for name, value in expected.items()}, given.folder / "expected.safetensors")
parameters = sum(value.numel() for value in unet.parameters())
print(f"{file}: {parameters} parameters, {file.stat().st_size} bytes, |eps| up to {eps.abs().max():.2f}")

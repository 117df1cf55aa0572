"""Writes packages/data/test/fixtures/center-crop.json: pictures cropped as ADM's training has them, by Pillow.

    python parity/images.py
"""

import base64
import io
import json
import pathlib

import numpy as np
from PIL import Image, __version__


def center_crop(image, size):
    """Dhariwal & Nichol 2021: halved by a box, then bicubic, then the middle."""
    while min(image.size) >= 2 * size:
        image = image.resize(tuple(side // 2 for side in image.size), resample=Image.BOX)
    scale = size / min(image.size)
    image = image.resize(tuple(round(side * scale) for side in image.size), resample=Image.BICUBIC)
    pixels = np.array(image)
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def picture(height, width):
    """The test makes the same one."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return Image.fromarray(((7 * x * x + 13 * y + 101 * c + x * y) % 256).astype(np.uint8))


def text(values):
    return base64.b64encode(values.tobytes() if isinstance(values, np.ndarray) else values).decode()


# Odd sizes, halvings, enlarging, no change, a side that comes to 12.5 and is 12 in Python, and a long one.
cases = [(97, 131, 16), (64, 48, 12), (37, 40, 37), (9, 14, 20), (16, 16, 16), (8, 20, 5), (3, 200, 8)]
crops = [
    {"height": h, "width": w, "size": size, "rgb": text(center_crop(picture(h, w), size))} for h, w, size in cases
]
file = io.BytesIO()
ramp = picture(45, 61).resize((183, 135), Image.BICUBIC)
ramp.save(file, "jpeg", quality=85, subsampling=2)
decoded = Image.open(file)
jpeg = {
    "file": text(file.getvalue()),
    "size": 24,
    "rgb": text(center_crop(decoded.convert("RGB"), 24)),
    "grey": text(center_crop(decoded.convert("L"), 24)),
}
path = pathlib.Path(__file__).parents[1] / "packages/data/test/fixtures/center-crop.json"
path.write_text(json.dumps({"pillow": __version__, "crops": crops, "jpeg": jpeg}) + "\n")

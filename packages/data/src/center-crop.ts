import { bicubic, box, type Pixels, resample } from './resample.js';

/**
 * The `size` × `size` pixels in the middle of an image whose shorter side is made `size`, as ADM's training has them (Dhariwal
 * & Nichol 2021, arXiv 2105.05233; `center_crop_arr` of guided-diffusion), byte for byte: halved by a box while the shorter side is at
 * least 2 · `size`, then resized bicubically.
 */
export function centerCrop(image: Pixels, size: number): Pixels {
  let halved = image;
  while (Math.min(halved.height, halved.width) >= 2 * size) {
    const [height, width] = [halved.height >> 1, halved.width >> 1];
    halved = resample(halved, box, whole(height), whole(width));
  }
  const { height, width } = halved;
  const scale = size / Math.min(height, width);
  return resample(halved, bicubic, middle(roundEven(height * scale), size), middle(roundEven(width * scale), size));
}

const whole = (size: number) => ({ size, from: 0, count: size });
const middle = (size: number, count: number) => ({ size, from: Math.floor((size - count) / 2), count });

/** To the nearest integer, halves to the even one, as Python rounds. */
function roundEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

// Images as pixels of a canvas.

/** Rows of images, each row one array [columns, height, width, 1] of values in [−1, 1], `scale` pixels a value. */
export function paintImages(
  canvas: HTMLCanvasElement,
  rows: readonly (ArrayLike<number> | undefined)[],
  [height, width]: readonly [number, number, number],
  columns: number,
  scale = 4,
): void {
  const gap = scale;
  canvas.width = columns * (width * scale + gap) - gap;
  canvas.height = rows.length * (height * scale + gap) - gap;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  context.imageSmoothingEnabled = false;
  const small = new OffscreenCanvas(width, height);
  const inner = small.getContext('2d') as OffscreenCanvasRenderingContext2D;
  const pixels = inner.createImageData(width, height);
  rows.forEach((values, row) => {
    for (let column = 0; values && column < columns; column++) {
      for (let i = 0; i < width * height; i++) {
        const gray = byteOf(values[column * width * height + i] as number);
        pixels.data.set([gray, gray, gray, 255], 4 * i);
      }
      inner.putImageData(pixels, 0, 0);
      const [x, y] = [column * (width * scale + gap), row * (height * scale + gap)];
      context.drawImage(small, x, y, width * scale, height * scale);
    }
  });
}

/** A value in [−1, 1] as a byte. */
const byteOf = (value: number): number => Math.round((Math.min(1, Math.max(-1, value)) + 1) * 127.5);

/** Offers a canvas as a PNG file. */
export function download(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => {
    const url = URL.createObjectURL(blob as Blob);
    Object.assign(document.createElement('a'), { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }, 'image/png');
}

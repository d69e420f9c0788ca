/**
 * Crowds: bars of a few pixels, by the ten thousand, written as pixels into one image.
 *
 * A lane of ten thousand spans is a bar in every second column; forty such lanes are forty thousand rectangles a frame.
 * As `fillRect`s they took 35 ms in software (recorded, then played back); as pixels 3 ms, whatever they are. They are
 * CSS pixels: on a sharp screen each is drawn as several, since a bar of one pixel has nothing to be sharp about.
 */

export class Crowds {
  private readonly canvas = document.createElement("canvas");
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private isUsed = false;

  private fromPx = 0;

  /** Begin a picture, or the part of it that is right of a column. */
  begin(width: number, height: number, fromPx: number): void {
    const widthPx = Math.max(1, width);
    const heightPx = Math.max(1, height);
    if (this.image === null || this.canvas.width !== widthPx || this.canvas.height !== heightPx) {
      this.canvas.width = widthPx;
      this.canvas.height = heightPx;
      this.image = new ImageData(widthPx, heightPx);
      this.pixels = new Uint32Array(this.image.data.buffer);
    } else if (this.isUsed) this.clear(Math.floor(fromPx));
    if (fromPx === 0) this.isUsed = false;
    this.fromPx = Math.floor(fromPx);
  }

  private clear(fromPx: number): void {
    const { width } = this.canvas;
    if (fromPx === 0) this.pixels.fill(0);
    else for (let at = fromPx; at < this.pixels.length; at += width) this.pixels.fill(0, at, at + width - fromPx);
  }

  /** Fill a rectangle; at least one pixel wide. */
  fill(startPx: number, endPx: number, topPx: number, bottomPx: number, pixel: number): void {
    const width = this.canvas.width;
    const from = Math.max(0, Math.floor(startPx));
    const to = Math.min(width, Math.max(from + 1, Math.round(endPx)));
    const top = Math.max(0, Math.round(topPx));
    const bottom = Math.min(this.canvas.height, Math.round(bottomPx));
    if (from >= to || top >= bottom) return;
    this.isUsed = true;
    const { pixels } = this;
    for (let y = top; y < bottom; y++) {
      const row = y * width;
      for (let x = from; x < to; x++) pixels[row + x] = pixel;
    }
  }

  /** Put the picture on a canvas, its left top corner at the origin. */
  flush(on: CanvasRenderingContext2D): void {
    if (!this.isUsed || this.image === null) return;
    const { fromPx } = this;
    const { width, height } = this.canvas;
    if (fromPx >= width) return;
    this.canvas.getContext("2d")?.putImageData(this.image, 0, 0, fromPx, 0, width - fromPx, height);
    const isSmooth = on.imageSmoothingEnabled;
    on.imageSmoothingEnabled = false;
    // All of it, and clipped: a part, on a screen of one and a half pixels a pixel, would round to other pixels. And a
    // little aside: a pixel of the screen whose middle is an edge would go to one side or the other by chance.
    on.drawImage(this.canvas, 1e-3, 1e-3);
    on.imageSmoothingEnabled = isSmooth;
  }
}

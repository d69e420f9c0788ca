/** A canvas that is as sharp as the screen. Sizes are CSS pixels; the context is scaled to match. */

export class Surface {
  readonly context: CanvasRenderingContext2D;
  widthPx = 0;
  heightPx = 0;
  ratio = 1;

  constructor(readonly canvas: HTMLCanvasElement) {
    // Opaque: there is nothing below to mix with. `desynchronized` halves the work of a frame in Chromium, by
    // drawing into what is on the screen: a chart that is painted anew each frame would flicker.
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("this browser has no 2D canvas");
    this.context = context;
  }

  /** Fit the canvas to its box; tells whether it changed. Setting a size clears the canvas, so only then. */
  resize(widthPx: number, heightPx: number): boolean {
    const ratio = Math.max(1, globalThis.devicePixelRatio || 1);
    const isSame = widthPx === this.widthPx && heightPx === this.heightPx && ratio === this.ratio;
    if (isSame) return false;
    this.widthPx = widthPx;
    this.heightPx = heightPx;
    this.ratio = ratio;
    this.canvas.width = Math.round(widthPx * ratio);
    this.canvas.height = Math.round(heightPx * ratio);
    return true;
  }

  /** Begin a picture: nothing of the one before remains set, and, unless parts of it stay, nothing painted. */
  begin(isWhole = true): CanvasRenderingContext2D {
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (isWhole) context.clearRect(0, 0, this.widthPx, this.heightPx);
    context.globalAlpha = 1;
    context.textBaseline = "middle";
    return context;
  }
}

/** Call when a pixel of the page is another number of the screen's: its window went to another screen. Gives the undoing. */
export function watchRatio(changed: () => void): () => void {
  const abort = new AbortController();
  const watch = (): void => {
    // A query says only that the ratio is not this one any more, so each change needs a new one.
    const here = matchMedia(`(resolution: ${globalThis.devicePixelRatio}dppx)`);
    const heard = (): void => {
      watch();
      changed();
    };
    here.addEventListener("change", heard, { signal: abort.signal, once: true });
  };
  watch();
  return () => abort.abort();
}

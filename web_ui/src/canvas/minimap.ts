/** The minimap: the whole run on a strip, with a window that says which part of it the chart shows. */

import { type Camera, endFolded } from "../model/timeline_camera";
import { type Density, DensityMaker } from "../model/timeline_density";
import type { Scene } from "../model/timeline_scene";
import { readColour } from "./colours";
import type { Surface } from "./surface";
import { setFont } from "./texts";
import type { Theme } from "./theme";

/** The part that is shown, in pixels of the minimap. */
export interface Brush {
  readonly startPx: number;
  readonly endPx: number;
  readonly topPx: number;
  readonly bottomPx: number;
}

export const MINIMAP_PX = 52;
/** So many spans are looked at in a frame: about two milliseconds. */
const SLICE = 12_000;

export class Minimap {
  private image: HTMLCanvasElement | null = null;
  private density: Density | null = null;
  private maker: DensityMaker | null = null;
  private made = "";

  constructor(readonly surface: Surface) {}

  /** Work on the picture of the whole, if what it shows is another. Tells what there is to do: paint, or go on. */
  work(wanted: string, scene: Scene, nowMs: number, strip: Camera, theme: Theme): "nothing" | "paint" | "go on" {
    if (this.maker === null && this.made !== wanted) {
      const rows = Math.max(1, Math.min(scene.rowCount, MINIMAP_PX - 8));
      const stretch = { startFolded: strip.startFolded, endFolded: endFolded(strip) };
      this.maker = new DensityMaker(scene, nowMs, stretch, Math.ceil(strip.widthPx), rows);
      this.made = wanted;
    }
    if (this.maker === null) return "nothing";
    const density = this.maker.work(SLICE);
    if (density === null) return "go on";
    this.maker = null;
    this.density = density;
    this.render(density, theme);
    return "paint";
  }

  /** Colours are others. */
  restyle(theme: Theme): void {
    if (this.density !== null) this.render(this.density, theme);
  }

  private render(density: Density, theme: Theme): void {
    const { columns, rows } = density;
    const image = this.image ?? document.createElement("canvas");
    image.width = columns;
    image.height = rows;
    const on = image.getContext("2d");
    if (on === null) return;
    const pixels = on.createImageData(columns, rows);
    const work = readColour(theme.work);
    const waiting = readColour(theme.waiting);
    const failed = readColour(theme.failed);
    for (let cell = 0; cell < columns * rows; cell++) {
      const busy = density.work[cell]!;
      const idle = density.waiting[cell]!;
      if (density.failed[cell]! > 0) put(pixels.data, cell, failed, 1);
      // What is there at all can be seen; what is more is stronger, towards full without an end.
      else if (busy > 0) put(pixels.data, cell, work, 0.4 + 0.6 * (1 - Math.exp(-busy)));
      else if (idle > 0) put(pixels.data, cell, waiting, 0.25 + 0.35 * (1 - Math.exp(-idle)));
    }
    on.clearRect(0, 0, columns, rows);
    on.putImageData(pixels, 0, 0);
    this.image = image;
  }

  /** Paint right of `leftPx`, so that the strip lies over the chart; left of it stand two lines of text. */
  paint(
    theme: Theme,
    leftPx: number,
    brush: Brush,
    breaksPx: readonly number[],
    texts: readonly [string, string],
  ): void {
    const { heightPx } = this.surface;
    const widthPx = this.surface.widthPx - leftPx;
    const on = this.surface.begin();
    on.fillStyle = theme.panel;
    on.fillRect(0, 0, this.surface.widthPx, heightPx);
    on.fillStyle = theme.ink;
    setFont(on, theme.boldFont);
    on.fillText(texts[0], 10, heightPx / 2 - 8);
    on.fillStyle = theme.muted;
    setFont(on, theme.smallFont);
    on.fillText(texts[1], 10, heightPx / 2 + 9);
    on.translate(leftPx, 0);
    if (this.image !== null) {
      on.imageSmoothingEnabled = false;
      const tallest = Math.min(heightPx - 8, this.image.height * 8);
      on.drawImage(this.image, 0, 4, widthPx, tallest);
    }
    on.strokeStyle = theme.faint;
    on.lineWidth = 1;
    on.setLineDash([2, 2]);
    on.beginPath();
    for (const px of breaksPx) {
      const middlePx = Math.round(px) + 0.5;
      on.moveTo(middlePx, 0);
      on.lineTo(middlePx, heightPx);
    }
    on.stroke();
    on.setLineDash([]);
    this.paintBrush(on, theme, widthPx, brush);
    on.fillStyle = theme.gridStrong;
    on.fillRect(-leftPx, heightPx - 1, this.surface.widthPx, 1);
    on.fillRect(-1, 0, 1, heightPx);
  }

  private paintBrush(on: CanvasRenderingContext2D, theme: Theme, widthPx: number, brush: Brush): void {
    const { heightPx } = this.surface;
    const startPx = Math.max(0, brush.startPx);
    const endPx = Math.min(widthPx, Math.max(brush.endPx, startPx + 3));
    on.globalAlpha = 0.62;
    on.fillStyle = theme.panel;
    on.fillRect(0, 0, startPx, heightPx);
    on.fillRect(endPx, 0, widthPx - endPx, heightPx);
    on.globalAlpha = 1;
    on.fillStyle = theme.selected;
    on.fillRect(startPx, brush.topPx, endPx - startPx, Math.max(2, brush.bottomPx - brush.topPx));
    on.strokeStyle = theme.accent;
    on.lineWidth = 1;
    on.strokeRect(startPx + 0.5, 0.5, endPx - startPx - 1, heightPx - 1);
    on.fillStyle = theme.accent;
    for (const xPx of [startPx, endPx - 3]) on.fillRect(xPx, heightPx / 2 - 8, 3, 16);
  }
}

function put(data: Uint8ClampedArray, cell: number, colour: readonly number[], alpha: number): void {
  data[cell * 4] = colour[0]!;
  data[cell * 4 + 1] = colour[1]!;
  data[cell * 4 + 2] = colour[2]!;
  data[cell * 4 + 3] = alpha * 255;
}

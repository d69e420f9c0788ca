/** The strip above the chart: the minimap of the whole run, and the window on it that can be moved. */

import { showCount, showDuration } from "../model/instants";
import { type Camera, endFolded, fitRange } from "../model/timeline_camera";
import type { TimeScale } from "../model/timeline_scale";
import { RUN } from "../model/timeline_spans";
import { type Brush, MINIMAP_PX, Minimap } from "./minimap";
import type { Sight } from "./sight";
import { Surface } from "./surface";

/** Lines that are nearer than this would be a plane. */
const BETWEEN_BREAKS_PX = 4;

export class Strip {
  private readonly minimap: Minimap;

  constructor(
    private readonly sight: Sight,
    canvas: HTMLCanvasElement,
  ) {
    this.minimap = new Minimap(new Surface(canvas));
  }

  /** Where the window is. */
  get brush(): Brush {
    const { camera, everything } = this.sight.eye;
    const perPx = MINIMAP_PX / Math.max(this.sight.bounds().contentPx, camera.heightPx);
    return {
      startPx: (camera.startFolded - everything.startFolded) / everything.foldedPerPx,
      endPx: (endFolded(camera) - everything.startFolded) / everything.foldedPerPx,
      topPx: camera.topPx * perPx,
      bottomPx: (camera.topPx + camera.heightPx) * perPx,
    };
  }

  /** Show what the window would show. */
  setBrush(startPx: number, endPx: number): void {
    const { camera, everything } = this.sight.eye;
    const { startFolded, foldedPerPx } = everything;
    this.sight.move(fitRange(camera, startFolded + startPx * foldedPerPx, startFolded + endPx * foldedPerPx));
  }

  centreRows(yPx: number): void {
    const { camera } = this.sight.eye;
    const middlePx = (yPx / MINIMAP_PX) * Math.max(this.sight.bounds().contentPx, camera.heightPx);
    this.sight.move({ ...camera, topPx: middlePx - camera.heightPx / 2 });
  }

  resize(widthPx: number): void {
    this.minimap.surface.resize(widthPx, MINIMAP_PX);
  }

  /** Colours are others. */
  restyle(): void {
    this.minimap.restyle(this.sight.theme);
  }

  paint(): void {
    const { scene, eye, theme, labelPx, nowMs } = this.sight;
    const { root, scale } = scene;
    const breaks = findBreaks(scale, eye.everything);
    const took = showDuration(root.table.reachMs(RUN, nowMs));
    const calls = `${showCount(root.table.count - 1)} ${root.table.count === 2 ? "call" : "calls"}`;
    this.minimap.paint(theme, labelPx, this.brush, breaks, [took, calls]);
  }

  /** Bring the minimap up to date with a state of the run, in slices; tells whether there is more to do. */
  work(state: string): boolean {
    const { scene, eye, theme, nowMs } = this.sight;
    const { everything } = eye;
    const wanted = [state, scene.arrangement, everything.widthPx].join(" ");
    const next = this.minimap.work(wanted, scene, nowMs, everything, theme);
    if (next === "paint") this.paint();
    return next === "go on";
  }
}

/** The middles of the gaps, in pixels of the strip; of many in one place the first. */
function findBreaks(scale: TimeScale, { startFolded, foldedPerPx, widthPx }: Camera): number[] {
  const found: number[] = [];
  for (const piece of scale.pieces(startFolded, startFolded + widthPx * foldedPerPx)) {
    if (!piece.isGap) continue;
    const px = ((piece.startFolded + piece.endFolded) / 2 - startFolded) / foldedPerPx;
    if (found.length === 0 || px - found[found.length - 1]! >= BETWEEN_BREAKS_PX) found.push(px);
  }
  return found;
}

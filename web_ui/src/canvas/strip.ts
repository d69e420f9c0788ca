/** The strip above the chart: the minimap of the whole run, and the window on it that can be moved. */

import { showCount, showDuration } from "../model/instants";
import { endFolded, fitRange } from "../model/timeline_camera";
import { RUN } from "../model/timeline_spans";
import { type Brush, MINIMAP_PX, Minimap } from "./minimap";
import type { Sight } from "./sight";
import { Surface } from "./surface";

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
    const { startFolded, foldedPerPx } = eye.everything;
    const { scale, root } = scene;
    const toStripPx = (ms: number): number => (scale.fold(ms) - startFolded) / foldedPerPx;
    const breaks = scale.gaps.map((gap) => ({ startPx: toStripPx(gap.startMs), endPx: toStripPx(gap.endMs) }));
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

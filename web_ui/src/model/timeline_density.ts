/**
 * The density of a whole timeline on a small grid: what the minimap shows.
 *
 * 1. Conserved: over all cells of a plane, what lies there is how many pixels all its spans are long together.
 * 2. A span costs a constant, however long it is: a cell that it begins or ends in gets its share, what lies
 *    between is two numbers of a running sum.
 * 3. Made in slices: `work` does as many spans as it is told, so that following a long run drops no frame.
 */

import type { TimeScale } from "./timeline_scale";
import type { Scene, Track } from "./timeline_scene";
import { RUN } from "./timeline_spans";
import { isFailureCode, isWorkCode } from "./timeline_words";

export interface Density {
  readonly columns: number;
  readonly rows: number;
  readonly startFolded: number;
  readonly endFolded: number;
  /** How much of each cell is work, in pixels of spans; and how much is waiting. */
  readonly work: Float32Array;
  readonly waiting: Float32Array;
  /** How many failed spans end in the cell. */
  readonly failed: Float32Array;
}

/** Which part of the axis the grid stands for. */
export interface Stretch {
  readonly startFolded: number;
  readonly endFolded: number;
}

export class DensityMaker {
  /** What it began with: a scale that changes meanwhile is for the next one. */
  private readonly scale: TimeScale;
  private readonly workSum: Float32Array;
  private readonly waitingSum: Float32Array;
  private readonly density: Density;
  private readonly tracks: Track[];
  private track = 0;
  private span = RUN + 1;

  constructor(
    private readonly scene: Scene,
    private readonly nowMs: number,
    stretch: Stretch,
    columns: number,
    rows: number,
  ) {
    const cells = columns * rows;
    this.scale = scene.scale;
    this.workSum = new Float32Array(cells + rows);
    this.waitingSum = new Float32Array(cells + rows);
    this.tracks = [...scene.tracks()];
    this.density = {
      columns,
      rows,
      startFolded: stretch.startFolded,
      endFolded: stretch.endFolded,
      work: new Float32Array(cells),
      waiting: new Float32Array(cells),
      failed: new Float32Array(cells),
    };
  }

  /** Take up to so many spans more; the result when all were taken. */
  work(spans: number): Density | null {
    let budget = spans;
    while (this.track < this.tracks.length) {
      const track = this.tracks[this.track]!;
      const end = Math.min(track.table.count, this.span + budget);
      budget -= end - this.span;
      this.addSpans(track, this.span, end);
      this.span = end;
      if (end < track.table.count) return null;
      this.track++;
      this.span = RUN + 1;
    }
    this.sum(this.density.work, this.workSum);
    this.sum(this.density.waiting, this.waitingSum);
    return this.density;
  }

  private addSpans(track: Track, from: number, to: number): void {
    const { density, scale, nowMs } = this;
    const { table, shiftMs } = track;
    const { columns, rows } = density;
    const perFolded = columns / Math.max(density.endFolded - density.startFolded, 1e-9);
    const rowShare = rows / Math.max(1, this.scene.rowCount);
    const isCalls = this.scene.arrangement === "calls" && this.tracks.length === 1;
    for (let span = from; span < to; span++) {
      const row = isCalls ? span : this.scene.rowOf({ track, span });
      const y = Math.min(rows - 1, Math.floor(row * rowShare));
      const startX = (scale.fold(table.startMs[span]! + shiftMs) - density.startFolded) * perFolded;
      const endX = (scale.fold(table.reachMs(span, nowMs - shiftMs) + shiftMs) - density.startFolded) * perFolded;
      if (isWorkCode(table.kind[span]!)) {
        this.addStretch(density.work, this.workSum, y, startX, endX);
      } else {
        this.addStretch(density.waiting, this.waitingSum, y, startX, endX);
      }
      if (isFailureCode(table.status[span]!)) {
        density.failed[y * columns + Math.min(columns - 1, Math.max(0, Math.floor(endX)))]! += 1;
      }
    }
  }

  private addStretch(plane: Float32Array, sums: Float32Array, y: number, startX: number, endX: number): void {
    const { columns } = this.density;
    const from = Math.min(Math.max(startX, 0), columns);
    const to = Math.min(Math.max(endX, 0), columns);
    const first = Math.min(columns - 1, Math.floor(from));
    const last = Math.min(columns - 1, Math.floor(to));
    if (first === last) {
      plane[y * columns + first]! += to - from;
      return;
    }
    plane[y * columns + first]! += first + 1 - from;
    plane[y * columns + last]! += to - last;
    sums[y * (columns + 1) + first + 1]! += 1;
    sums[y * (columns + 1) + last]! -= 1;
  }

  private sum(plane: Float32Array, sums: Float32Array): void {
    const { columns, rows } = this.density;
    for (let y = 0; y < rows; y++) {
      let running = 0;
      for (let x = 0; x < columns; x++) {
        running += sums[y * (columns + 1) + x]!;
        plane[y * columns + x]! += running;
      }
    }
  }
}

export function makeDensity(scene: Scene, nowMs: number, stretch: Stretch, columns: number, rows: number): Density {
  return new DensityMaker(scene, nowMs, stretch, columns, rows).work(Number.POSITIVE_INFINITY)!;
}

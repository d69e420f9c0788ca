// Runs over time by status, as bars of equal width.

import type { RunView } from "../api_types";

export interface Bin {
  startMs: number;
  endMs: number;
  counts: Record<string, number>;
  total: number;
}

const WIDTHS_MS = [
  1,
  2,
  5,
  10,
  25,
  50,
  100,
  250,
  500,
  1e3,
  2e3,
  5e3,
  10e3,
  15e3,
  30e3,
  60e3,
  2 * 60e3,
  5 * 60e3,
  10 * 60e3,
  15 * 60e3,
  30 * 60e3,
  3600e3,
  2 * 3600e3,
  3 * 3600e3,
  6 * 3600e3,
  12 * 3600e3,
  86400e3,
  2 * 86400e3,
  7 * 86400e3,
  14 * 86400e3,
  30 * 86400e3,
  90 * 86400e3,
  365 * 86400e3,
];

/** Choose the width of a bar: a round one that gives at most `most` bars for the span. */
export function chooseWidth(spanMs: number, most: number): number {
  return WIDTHS_MS.find((width) => spanMs / width <= most - 1) ?? WIDTHS_MS.at(-1)!;
}

const AROUND_MS = 30e3;

export interface Frame {
  widthMs: number;
  fromMs: number;
  toMs: number;
}

/** Count instants by status into bars: those of a frame, or at most so many of a round width that hold them all. */
export function countInto(
  items: readonly { atMs: number; status: string; count?: number }[],
  frame: Frame | number = 60,
): Bin[] {
  const { widthMs, fromMs, toMs } = typeof frame === "number" ? frameOf(items, frame) : frame;
  if (!(toMs >= fromMs)) return [];
  const first = Math.floor(fromMs / widthMs) * widthMs;
  const bins: Bin[] = Array.from({ length: Math.floor((toMs - first) / widthMs) + 1 }, (_, index) => ({
    startMs: first + index * widthMs,
    endMs: first + (index + 1) * widthMs,
    counts: {},
    total: 0,
  }));
  for (const { atMs, status, count = 1 } of items) {
    const bin = bins[Math.floor((atMs - first) / widthMs)];
    if (!bin) continue; // outside the frame
    bin.counts[status] = (bin.counts[status] ?? 0) + count;
    bin.total += count;
  }
  return bins;
}

function frameOf(items: readonly { atMs: number }[], most: number): Frame {
  let fromMs = Number.POSITIVE_INFINITY;
  let toMs = Number.NEGATIVE_INFINITY;
  for (const { atMs } of items) {
    fromMs = Math.min(fromMs, atMs);
    toMs = Math.max(toMs, atMs);
  }
  // One instant is a bar in the middle, not all there is.
  if (fromMs === toMs) [fromMs, toMs] = [fromMs - AROUND_MS, toMs + AROUND_MS];
  return { widthMs: chooseWidth(toMs - fromMs, most), fromMs, toMs };
}

export function binRuns(runs: readonly RunView[], most = 60): Bin[] {
  return countInto(
    runs.map((run) => ({ atMs: Date.parse(run.created_at), status: run.status })),
    most,
  );
}

/** Give a bar's parts from the bottom up, with shares of the tallest bar's height. */
export function stack(bin: Bin, tallest: number): { status: string; from: number; to: number }[] {
  const parts: { status: string; from: number; to: number }[] = [];
  let at = 0;
  for (const status of ["completed", "running", "pending", "cancelled", "failed"]) {
    const count = bin.counts[status] ?? 0;
    if (count === 0) continue;
    parts.push({ status, from: at / tallest, to: (at + count) / tallest });
    at += count;
  }
  return parts;
}

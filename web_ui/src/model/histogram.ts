// Runs over time by status, as bars of equal width.

import type { RunView } from "../api_types";
import { RUN_STATUSES } from "./statuses";

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

/** Count instants by status into bars of a round width, aligned to it, at most `most` of them. */
export function countInto(items: readonly { atMs: number; status: string; count?: number }[], most = 60): Bin[] {
  if (items.length === 0) return [];
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { atMs } of items) {
    low = Math.min(low, atMs);
    high = Math.max(high, atMs);
  }
  const width = chooseWidth(Math.max(1, high - low), most);
  const first = Math.floor(low / width) * width;
  const bins: Bin[] = Array.from({ length: Math.floor((high - first) / width) + 1 }, (_, index) => ({
    startMs: first + index * width,
    endMs: first + (index + 1) * width,
    counts: {},
    total: 0,
  }));
  for (const { atMs, status, count = 1 } of items) {
    const bin = bins[Math.floor((atMs - first) / width)]!;
    bin.counts[status] = (bin.counts[status] ?? 0) + count;
    bin.total += count;
  }
  return bins;
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

export const STACKED = RUN_STATUSES;

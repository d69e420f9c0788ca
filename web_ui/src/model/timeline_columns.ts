/**
 * Level of detail: what is drawn in a row, so that its cost follows pixels and not spans.
 *
 *     sliceLane(lane, view, fromPx, take)      boxes of a lane that the view shows from a column on, from left to right
 *
 * 1. A span that is wide enough is a box of its own. Narrower ones that begin in the same column of pixels are one
 *    box: it knows how many they are, how many failed, and how long they took together.
 * 2. Nothing is lost: over all boxes, counts and times are those of the spans in the view.
 * 3. At most two boxes a column, each found by bisecting.
 * 4. Where one begins to look changes no box: a lane can be drawn in parts.
 */

import type { Camera } from "./timeline_camera";
import type { Lane } from "./timeline_lanes";
import type { TimeScale } from "./timeline_scale";
import type { SpanTable } from "./timeline_spans";

/** Narrower spans are put together. Two pixels can still be told from their neighbours. */
export const NARROWEST_PX = 2;

export interface View {
  readonly camera: Camera;
  readonly scale: TimeScale;
  readonly nowMs: number;
}

/** Spans of a lane, from one place to before another. One span: it is drawn in detail. */
export interface Box {
  startPx: number;
  endPx: number;
  from: number;
  to: number;
  busyMs: number;
  failed: number;
}

export function toPx({ camera, scale }: View, ms: number): number {
  return (scale.fold(ms) - camera.startFolded) / camera.foldedPerPx;
}

export function toMs({ camera, scale }: View, px: number): number {
  return scale.unfold(camera.startFolded + px * camera.foldedPerPx);
}

/** Give a lane's boxes in the view. `shiftMs` is the lane's track's. The box is reused: take what is needed. */
export function sliceLane(
  table: SpanTable,
  lane: Lane,
  view: View,
  shiftMs: number,
  fromPx: number,
  take: (box: Box) => void,
): void {
  const nowMs = view.nowMs - shiftMs;
  const leftMs = toMs(view, fromPx) - shiftMs;
  const rightMs = toMs(view, view.camera.widthPx) - shiftMs;
  const { spans } = lane;
  const box: Box = { startPx: 0, endPx: 0, from: 0, to: 0, busyMs: 0, failed: 0 };
  // What ends exactly at the left edge has its last pixel there, if it has one.
  let at = lane.findAfter(table, leftMs);
  while (at > 0 && table.startMs[spans[at - 1]!]! >= leftMs) at--;
  if (at < spans.length) {
    // What begins in the same column is of the same box.
    const columnPx = Math.floor(toPx(view, table.startMs[spans[at]!]! + shiftMs));
    at = Math.min(at, lane.findStart(table, toMs(view, columnPx) - shiftMs, 0));
  }
  while (at < spans.length) {
    const span = spans[at]!;
    const startMs = table.startMs[span]!;
    if (startMs > rightMs) return;
    const startPx = toPx(view, startMs + shiftMs);
    const endPx = toPx(view, table.reachMs(span, nowMs) + shiftMs);
    let to = at + 1;
    let boxEndPx = endPx;
    if (endPx - startPx < NARROWEST_PX) {
      const columnEndPx = Math.floor(startPx) + 1;
      to = Math.max(to, lane.findStart(table, toMs(view, columnEndPx) - shiftMs, to));
      if (to - at > 1) {
        const last = spans[to - 1]!;
        const lastEndPx = toPx(view, table.reachMs(last, nowMs) + shiftMs);
        const isWide = lastEndPx - toPx(view, table.startMs[last]! + shiftMs) >= NARROWEST_PX;
        if (isWide) to--;
        boxEndPx = toPx(view, table.reachMs(spans[to - 1]!, nowMs) + shiftMs);
      }
    }
    box.startPx = startPx;
    box.endPx = boxEndPx;
    box.from = at;
    box.to = to;
    box.busyMs = lane.busyMs(table, at, to, nowMs);
    box.failed = lane.failures(table, at, to);
    take(box);
    at = to;
  }
}

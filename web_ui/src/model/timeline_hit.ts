/** What lies under a point: a row by division, a span in it by bisecting. No list of what was drawn is kept. */

import { NARROWEST_PX, toMs, toPx, type View } from "./timeline_columns";
import type { Lane } from "./timeline_lanes";
import type { Scene, SpanAt, Track } from "./timeline_scene";

/** How far beside a bar a pointer may be: hairlines must be catchable. */
export const REACH_PX = 4;

/** The span at a point of the chart. `yPx` counts from the top of the visible rows. */
export function hitSpan(scene: Scene, view: View, rowPx: number, xPx: number, yPx: number): SpanAt | null {
  const row = scene.rowAt(Math.floor((yPx + view.camera.topPx) / rowPx));
  if (row === null) return null;
  if (row.kind === "span") {
    return distancePx(view, row.track, row.span, xPx) <= REACH_PX ? { track: row.track, span: row.span } : null;
  }
  const span = hitLane(row.track, row.lane, view, xPx);
  return span === null ? null : { track: row.track, span };
}

/** The nearest span of a lane within reach; of several at one distance the first. */
function hitLane(track: Track, lane: Lane, view: View, xPx: number): number | null {
  const { table } = track;
  const fromMs = toMs(view, xPx - REACH_PX) - track.shiftMs;
  const ms = toMs(view, xPx) - track.shiftMs;
  // Neighbours on both sides are enough: in a lane, what is farther in order is farther away.
  const at = lane.findAfter(table, ms);
  let best: number | null = null;
  let bestPx = REACH_PX;
  const earliest = Math.max(0, Math.min(at, lane.findAfter(table, fromMs)) - 1);
  for (let place = Math.max(earliest, at - 2); place < Math.min(lane.spans.length, at + 2); place++) {
    const span = lane.spans[place]!;
    const px = distancePx(view, track, span, xPx);
    if (px < bestPx || (px === bestPx && best === null)) {
      best = span;
      bestPx = px;
    }
  }
  return best;
}

/** How far a point is from a span's bar, which is drawn at least `NARROWEST_PX` wide. */
export function distancePx(view: View, track: Track, span: number, xPx: number): number {
  const startPx = toPx(view, track.table.startMs[span]! + track.shiftMs);
  const reachMs = track.table.reachMs(span, view.nowMs - track.shiftMs) + track.shiftMs;
  const endPx = Math.max(toPx(view, reachMs), startPx + NARROWEST_PX);
  return Math.max(0, startPx - xPx, xPx - endPx);
}

/** The nearest beginning or end of a span in the row under a point, to measure exactly; else the time there. */
export function snapMs(scene: Scene, view: View, rowPx: number, xPx: number, yPx: number): number {
  const hit = hitSpan(scene, view, rowPx, xPx, yPx);
  const ms = toMs(view, xPx);
  if (hit === null) return ms;
  const { track, span } = hit;
  const edges = [track.table.startMs[span]!, track.table.reachMs(span, view.nowMs - track.shiftMs)];
  for (let at = track.table.firstSegment[span]!; at >= 0; at = track.table.nextSegment[at]!) {
    edges.push(track.table.segmentStartMs[at]!);
  }
  let nearest = ms;
  let nearestPx = REACH_PX * 2;
  for (const edge of edges) {
    const px = Math.abs(toPx(view, edge + track.shiftMs) - xPx);
    if (px < nearestPx) {
      nearest = edge + track.shiftMs;
      nearestPx = px;
    }
  }
  return nearest;
}

/** Markers: log lines, streams, payloads, attributes and cancels, as signs at the foot of the row they belong to. */

import { toMs, toPx } from "../model/timeline_columns";
import type { Marks } from "../model/timeline_marks";
import type { Track } from "../model/timeline_scene";
import { NONE } from "../model/timeline_spans";
import { packColour, readColour } from "./colours";
import { AXIS_PX, type Picture } from "./picture";

/** A marker that is to be seen. */
export interface Sign {
  readonly kind: string;
  readonly xPx: number;
  readonly yPx: number;
}

type Canvas = CanvasRenderingContext2D;

/** Of markers of a kind that are in one place of a row one is seen. */
const PLACE_PX = 2;
const NOWHERE = -(2 ** 31);
/** Where a log line's tick is below the middle of its row. */
const TICK_TOP_PX = 6;
const TICK_PX = 4;

/**
 * Find the markers in sight. Lines in lanes, which may be tens of thousands, go into the crowds; the others are for
 * `drawMarker`.
 */
export function placeMarkers(picture: Picture): Sign[] {
  const signs: Sign[] = [];
  for (const track of picture.scene.tracks()) placeOf(picture, track, signs);
  return signs;
}

/** Markers are in order of time, but for a few where clocks differ: what is in one place is mostly side by side. */
function placeOf(picture: Picture, track: Track, signs: Sign[]): void {
  const { scene, view, rowPx, heightPx, crowds } = picture;
  const { shiftMs } = track;
  const { markers } = track.table;
  const marks = track.marks.read();
  const isLanes = scene.arrangement === "names";
  const ink = packColour(readColour(picture.theme.ink), 1);
  const firstRow = Math.max(0, Math.floor(view.camera.topPx / rowPx) - 1);
  const lastRow = Math.min(scene.rowCount - 1, Math.ceil((view.camera.topPx + heightPx) / rowPx) + 1);
  const rightMs = toMs(view, view.camera.widthPx + 6) - shiftMs;
  const seen = new Map<string, Int32Array>();
  let [place, placeStartMs, placeEndMs] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = findFirst(picture, marks, shiftMs); at < marks.count; at++) {
    const atMs = marks.atMs[at]!;
    if (atMs > rightMs) break;
    const span = marks.spans[at]!;
    const row = span === NONE ? NONE : scene.rowOf({ track, span });
    if (row < firstRow || row > lastRow) continue;
    if (atMs < placeStartMs || atMs >= placeEndMs) {
      place = Math.floor(toPx(view, atMs + shiftMs) / PLACE_PX);
      placeStartMs = toMs(view, place * PLACE_PX) - shiftMs;
      placeEndMs = toMs(view, (place + 1) * PLACE_PX) - shiftMs;
    }
    const { kind } = markers[at]!;
    let lastOfRow = seen.get(kind);
    if (lastOfRow === undefined) {
      lastOfRow = new Int32Array(lastRow - firstRow + 1).fill(NOWHERE);
      seen.set(kind, lastOfRow);
    }
    if (lastOfRow[row - firstRow] === place) continue;
    lastOfRow[row - firstRow] = place;
    const xPx = toPx(view, atMs + shiftMs);
    const yPx = row * rowPx - view.camera.topPx + rowPx / 2;
    if (isLanes && kind === "log") crowds.fill(xPx, xPx + 1, yPx + TICK_TOP_PX, yPx + TICK_TOP_PX + TICK_PX, ink);
    else signs.push({ kind, xPx, yPx: AXIS_PX + yPx });
  }
}

/** The first marker that can be seen from the left edge on. */
function findFirst(picture: Picture, marks: Marks, shiftMs: number): number {
  const leftMs = toMs(picture.view, picture.fromPx - 8) - shiftMs;
  let low = 0;
  let high = marks.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks.atMs[middle]! < leftMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function drawMarker(on: Canvas, picture: Picture, { kind, xPx, yPx }: Sign): void {
  const { theme } = picture;
  on.beginPath();
  switch (kind) {
    case "log":
      on.fillStyle = theme.ink;
      on.fillRect(xPx - 0.5, yPx + TICK_TOP_PX, 1.5, TICK_PX);
      return;
    case "stream_opened":
    case "stream_closed": {
      const isOpened = kind === "stream_opened";
      on.fillStyle = theme.ink;
      on.moveTo(xPx + (isOpened ? -2.5 : 2.5), yPx + 4);
      on.lineTo(xPx + (isOpened ? 3 : -3), yPx + 7);
      on.lineTo(xPx + (isOpened ? -2.5 : 2.5), yPx + 10);
      break;
    }
    case "payload":
      on.fillStyle = theme.accent;
      on.moveTo(xPx, yPx - 6);
      on.lineTo(xPx + 5, yPx);
      on.lineTo(xPx, yPx + 6);
      on.lineTo(xPx - 5, yPx);
      break;
    case "cancel_requested":
    case "timeout":
      on.fillStyle = theme.failed;
      on.fillRect(xPx - 1, yPx - 8, 2, 16);
      on.fillRect(xPx - 4, yPx - 8, 8, 2);
      return;
    default:
      on.fillStyle = theme.muted;
      on.arc(xPx, yPx + 7, 2.2, 0, Math.PI * 2);
  }
  on.fill();
}

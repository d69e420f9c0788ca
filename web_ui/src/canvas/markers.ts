/** Markers: log lines, streams, payloads, attributes and cancels, as signs at the foot of the row they belong to. */

import { toPx } from "../model/timeline_columns";
import type { Track } from "../model/timeline_scene";
import { NONE } from "../model/timeline_spans";
import { AXIS_PX, type Picture } from "./picture";

type Canvas = CanvasRenderingContext2D;

/** Signs differ in shape: a tick for logs, triangles for streams, a diamond for payloads, a bar for the rest. */
export function drawMarkers(on: Canvas, picture: Picture): void {
  for (const track of picture.scene.tracks()) drawTrack(on, picture, track);
}

function drawTrack(on: Canvas, picture: Picture, track: Track): void {
  const { scene, view, rowPx, heightPx } = picture;
  const { table, shiftMs } = track;
  const { markers } = table;
  const lastOfRow = new Map<number, number>();
  for (let at = findFirst(picture, track); at < markers.length; at++) {
    const marker = markers[at]!;
    const xPx = toPx(view, marker.at_ms + shiftMs);
    if (xPx > view.camera.widthPx + 6) break;
    const span = table.findId(marker.span_id);
    const row = span === NONE ? NONE : scene.rowOf({ track, span });
    if (row === NONE) continue;
    const yPx = AXIS_PX + row * rowPx - view.camera.topPx + rowPx / 2;
    if (yPx < AXIS_PX - rowPx || yPx > heightPx + rowPx) continue;
    // Of a crowd in one place one is enough, unless it is of the rare kinds.
    const place = Math.floor(xPx / 2);
    if (marker.kind === "log" && lastOfRow.get(row) === place) continue;
    lastOfRow.set(row, place);
    drawMarker(on, picture, marker.kind, xPx, yPx);
  }
}

/** Markers are in order of time in a trace; those that were folded in come last, and are later. */
function findFirst(picture: Picture, track: Track): number {
  const { markers } = track.table;
  let low = 0;
  let high = markers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (toPx(picture.view, markers[middle]!.at_ms + track.shiftMs) < picture.fromPx - 8) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawMarker(on: Canvas, picture: Picture, kind: string, xPx: number, yPx: number): void {
  const { theme } = picture;
  on.beginPath();
  switch (kind) {
    case "log":
      on.fillStyle = theme.ink;
      on.fillRect(xPx - 0.5, yPx + 6, 1.5, 4);
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

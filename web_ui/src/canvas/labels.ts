/** The column of names: tree, kind, name, status and duration of each row in sight. */

import { showCount, showDuration } from "../model/instants";
import type { Row, Track } from "../model/timeline_scene";
import { RUN } from "../model/timeline_spans";
import { callName, isFailure } from "../model/timeline_words";
import { drawIcon } from "./icons";
import { alphaOf, type Picture } from "./picture";
import { fitText, setFont, textWidth } from "./texts";

const EDGE_PX = 10;
const INDENT_PX = 14;
const ICON_PX = 12;

type Canvas = CanvasRenderingContext2D;

/** Where the sign that opens a child run is, from the left edge. */
export function twistyPx(track: Track): { startPx: number; endPx: number } {
  const startPx = EDGE_PX + track.depth * INDENT_PX;
  return { startPx, endPx: startPx + ICON_PX + 4 };
}

/** `isFirst`: the topmost row in sight, which names its group wherever it is in it. */
export function drawLabel(on: Canvas, picture: Picture, row: Row, yPx: number, isFirst: boolean): void {
  if (row.kind === "span") drawCall(on, picture, row.track, row.span, yPx);
  else if (row.lane.at === 0 || isFirst) drawGroup(on, picture, row.track, row.lane.group, yPx);
}

function drawCall(on: Canvas, picture: Picture, track: Track, span: number, yPx: number): void {
  const { theme, labelPx } = picture;
  const { table } = track;
  const status = table.statusOf(span);
  const kind = table.kindOf(span);
  on.globalAlpha = Math.max(0.6, alphaOf(picture, track, span));
  let xPx = twistyPx(track).startPx;
  const isParent = table.childRunIds.has(span) && kind === "child";
  if (isParent) drawIcon(on, track.children.has(span) ? "expanded" : "folded", xPx, yPx - 6, theme.ink);
  if (track.parent !== null || span !== RUN) xPx += INDENT_PX;
  drawIcon(on, kind, xPx, yPx - 6, theme.muted);
  xPx += ICON_PX + 6;

  setFont(on, theme.smallFont);
  const nowMs = picture.view.nowMs - track.shiftMs;
  const duration = showDuration(table.reachMs(span, nowMs) - table.startMs[span]!);
  on.fillStyle = theme.muted;
  const durationPx = Math.max(54, textWidth(on, duration));
  on.textAlign = "right";
  on.fillText(duration, labelPx - EDGE_PX, yPx);
  on.textAlign = "left";
  const statusPx = labelPx - EDGE_PX - durationPx - ICON_PX - 6;
  drawIcon(on, status, statusPx, yPx - 6, statusColour(picture, status));

  const attempts = table.attempts[span]!;
  const tries = span !== RUN && attempts > 1 ? ` ×${attempts}` : "";
  setFont(on, span === RUN ? theme.boldFont : theme.font);
  const triesPx = tries === "" ? 0 : textWidth(on, tries) + 2;
  const name = fitText(on, callName(kind, table.nameOf(span)), statusPx - xPx - 8 - triesPx);
  on.fillStyle = isFailure(status) ? theme.failed : theme.ink;
  on.fillText(name, xPx, yPx + 0.5);
  if (tries !== "") {
    on.fillStyle = theme.muted;
    on.fillText(tries, xPx + textWidth(on, name) + 2, yPx + 0.5);
  }
  on.globalAlpha = 1;
}

function drawGroup(on: Canvas, picture: Picture, track: Track, number: number, yPx: number): void {
  const { theme, labelPx } = picture;
  const group = track.packing.groups[number]!;
  let xPx = EDGE_PX + track.depth * INDENT_PX;
  drawIcon(on, group.kind, xPx, yPx - 6, theme.muted);
  xPx += ICON_PX + 6;
  setFont(on, theme.smallFont);
  const count = group.count === 1 ? "" : `×${showCount(group.count)}`;
  const countPx = textWidth(on, count);
  on.fillStyle = theme.muted;
  on.textAlign = "right";
  on.fillText(count, labelPx - EDGE_PX, yPx);
  on.textAlign = "left";
  setFont(on, group.kind === "run" ? theme.boldFont : theme.font);
  on.fillStyle = theme.ink;
  on.fillText(fitText(on, callName(group.kind, group.name), labelPx - EDGE_PX - countPx - xPx - 8), xPx, yPx + 0.5);
}

export function statusColour(picture: Picture, status: string): string {
  const { theme } = picture;
  if (isFailure(status)) return theme.failed;
  if (status === "retrying") return theme.retry;
  if (status === "running" || status === "completed") return theme.work;
  if (status === "waiting" || status === "received") return theme.waiting;
  return theme.muted;
}

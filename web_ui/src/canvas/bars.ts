/**
 * Bars: spans and their segments in a row.
 *
 * Shapes say what colours say, too: attempts are full bars (failed ones hatched, with their number and a cross), the
 * wait before the next one a dashed line, sleeps and hooks thin bars, what is queued a dotted box, locks that are
 * held striped, abandoned and cancelled calls hatched the other way. What has not ended has an open right side.
 */

import { NARROWEST_PX, sliceLane, toPx } from "../model/timeline_columns";
import type { Lane } from "../model/timeline_lanes";
import type { Track } from "../model/timeline_scene";
import { OPEN, RUN } from "../model/timeline_spans";
import { callName, isFailure, isWorkCode, OUTCOMES } from "../model/timeline_words";
import { packColour, readColour } from "./colours";
import { AXIS_PX, alphaOf, type Picture } from "./picture";
import { fitText, setFont, textWidth } from "./texts";

const BAR_PX = 12;
/** Narrower spans have no room for a pattern: they are drawn as crowds are. */
const DETAILED_PX = 4;
/** How far a bar's signs reach beyond its end: a point, a frame. */
const BESIDE_PX = 8;
/** A call that succeeded at once is a plain bar in any case; from here on its corners can be seen. */
const SIMPLE_PX = 14;

const COMPLETED = OUTCOMES.indexOf("completed");

type Canvas = CanvasRenderingContext2D;

/** Draw one call in detail; `yPx` is the middle of its row. Tells where its drawing ends. */
export function drawSpan(on: Canvas, picture: Picture, track: Track, span: number, yPx: number): void {
  const { table, shiftMs } = track;
  const { view } = picture;
  const nowMs = view.nowMs - shiftMs;
  const startPx = toPx(view, table.startMs[span]! + shiftMs);
  const endPx = toPx(view, table.reachMs(span, nowMs) + shiftMs);
  if (endPx < picture.fromPx - BESIDE_PX || startPx > view.camera.widthPx) return;
  on.globalAlpha = alphaOf(picture, track, span);
  if (track.parent === null && span === RUN) drawRun(on, picture, track, startPx, endPx, yPx);
  else {
    let drawnPx = Number.NEGATIVE_INFINITY;
    for (let at = table.firstSegment[span]!; at >= 0; at = table.nextSegment[at]!) {
      const fromPx = toPx(view, table.segmentStartMs[at]! + shiftMs);
      const segmentEndMs = table.segmentEndMs[at]!;
      const toEndPx = toPx(
        view,
        (segmentEndMs === OPEN ? Math.max(nowMs, table.segmentStartMs[at]!) : segmentEndMs) + shiftMs,
      );
      if (toEndPx < -NARROWEST_PX) continue;
      if (fromPx > view.camera.widthPx) break;
      // Thousands of attempts in a pixel are drawn as one; the first of the pixel stands for them.
      if (toEndPx < drawnPx + 0.5) continue;
      drawSegment(on, picture, track, span, at, fromPx, toEndPx, yPx);
      drawnPx = toEndPx;
    }
    if (table.firstSegment[span]! < 0) drawInstant(on, picture, startPx, yPx, isFailure(table.statusOf(span)));
  }
  drawEmphasis(on, picture, track, span, startPx, endPx, yPx);
  on.globalAlpha = 1;
}

/** The run itself: a thin bar with ends, like a bracket over its calls. */
function drawRun(on: Canvas, picture: Picture, track: Track, startPx: number, endPx: number, yPx: number): void {
  const { theme } = picture;
  const isFailed = isFailure(track.table.statusOf(RUN));
  const [fromPx, toEndPx] = clip(picture, startPx, endPx);
  on.fillStyle = isFailed ? theme.failed : theme.muted;
  on.fillRect(fromPx, yPx - 3, Math.max(toEndPx - fromPx, 1), 3);
  on.fillRect(startPx, yPx - 3, 2, 8);
  if (track.table.endMs[RUN] !== OPEN) on.fillRect(endPx - 2, yPx - 3, 2, 8);
}

function drawSegment(
  on: Canvas,
  picture: Picture,
  track: Track,
  span: number,
  segment: number,
  startPx: number,
  endPx: number,
  yPx: number,
): void {
  const { table } = track;
  const { theme, patterns } = picture;
  const kind = table.segmentKinds.decode(table.segmentKind[segment]!);
  const outcome = table.outcomes.decode(table.segmentOutcome[segment]!);
  const isOpen = table.segmentEndMs[segment] === OPEN;
  const status = table.statusOf(span);
  const [fromPx, toEndPx] = clip(picture, startPx, endPx);
  const widthPx = Math.max(toEndPx - fromPx, NARROWEST_PX);
  const topPx = yPx - BAR_PX / 2;
  switch (kind) {
    case "queued":
      on.fillStyle = patterns.queued;
      on.fillRect(fromPx, topPx + 1, widthPx, BAR_PX - 2);
      if (widthPx > 3) outline(on, theme.queued, fromPx, topPx + 1, widthPx, BAR_PX - 2);
      return;
    case "retry_wait":
      drawDashes(on, theme.retry, fromPx, toEndPx, yPx, 2);
      labelLine(on, picture, `↻ ${durationOf(picture, track, segment)}`, fromPx, widthPx, yPx, isOpen);
      return;
    case "waiting":
    case "open":
      on.fillStyle = status === "abandoned" || status === "cancelled" ? patterns.off : theme.waiting;
      if (kind === "open") drawDashes(on, theme.waiting, fromPx, toEndPx, yPx, 4);
      else on.fillRect(fromPx, yPx - 2.5, widthPx, 5);
      if (widthPx > 6 && kind === "waiting") {
        if (startPx >= 0) on.fillRect(startPx, yPx - 5, 1.5, 10);
        if (!isOpen) on.fillRect(endPx - 1.5, yPx - 5, 1.5, 10);
      }
      if (isOpen) drawOpenEnd(on, picture, theme.waiting, endPx, yPx, 5);
      return;
    case "held":
      on.fillStyle = patterns.held;
      on.fillRect(fromPx, topPx + 1, widthPx, BAR_PX - 2);
      outline(on, theme.held, fromPx, topPx + 1, widthPx, BAR_PX - 2);
      if (isOpen) drawOpenEnd(on, picture, theme.held, endPx, yPx, BAR_PX);
      return;
    default:
      drawAttempt(on, picture, track, span, segment, outcome, isOpen, fromPx, widthPx, endPx, yPx);
  }
}

function drawAttempt(
  on: Canvas,
  picture: Picture,
  track: Track,
  span: number,
  segment: number,
  outcome: string,
  isOpen: boolean,
  fromPx: number,
  widthPx: number,
  endPx: number,
  yPx: number,
): void {
  const { theme, patterns } = picture;
  const { table } = track;
  const isFailed = outcome === "failed";
  const isOff = outcome === "cancelled" || outcome === "abandoned";
  on.fillStyle = isFailed ? patterns.failed : outcome === "lost" ? patterns.lost : isOff ? patterns.off : theme.work;
  const topPx = yPx - BAR_PX / 2;
  if (widthPx > 4) {
    on.beginPath();
    on.roundRect(fromPx, topPx, widthPx, BAR_PX, 2);
    on.fill();
  } else {
    on.fillRect(fromPx, topPx, widthPx, BAR_PX);
  }
  if (isOpen) drawOpenEnd(on, picture, theme.work, endPx, yPx, BAR_PX);
  const attempt = table.segmentAttempt[segment]!;
  const isOneOfMany = table.attempts[span]! > 1;
  if (isFailed || outcome === "lost") {
    if (widthPx < 13) return;
    // The sign stands on a plain ground: on hatching it would drown.
    const sign = `${isOneOfMany ? attempt : ""}${isFailed ? "✕" : "!"}`;
    setFont(on, theme.smallFont);
    const signPx = textWidth(on, sign) + 4;
    if (signPx + 2 > widthPx) return;
    on.fillStyle = theme.failed;
    on.fillRect(fromPx + widthPx - signPx - 1, topPx, signPx + 1, BAR_PX);
    on.fillStyle = theme.onBar;
    on.fillText(sign, fromPx + widthPx - signPx + 1, yPx + 0.5);
  } else if (isOneOfMany) {
    label(on, picture, isOpen ? `${attempt}` : `${attempt} ✓`, fromPx, widthPx, yPx);
  }
}

/** An event that took no time and left nothing: a hook whose token was taken. */
function drawInstant(on: Canvas, picture: Picture, xPx: number, yPx: number, isFailed: boolean): void {
  on.fillStyle = isFailed ? picture.theme.failed : picture.theme.waiting;
  on.beginPath();
  on.moveTo(xPx, yPx - 5);
  on.lineTo(xPx + 4, yPx);
  on.lineTo(xPx, yPx + 5);
  on.lineTo(xPx - 4, yPx);
  on.fill();
}

/** What goes on has no right side: it ends in a point that looks onwards. */
function drawOpenEnd(on: Canvas, picture: Picture, colour: string, endPx: number, yPx: number, heightPx: number): void {
  if (endPx > picture.view.camera.widthPx + 8) return;
  on.fillStyle = colour;
  on.beginPath();
  on.moveTo(endPx - 0.5, yPx - heightPx / 2);
  on.lineTo(endPx + 5, yPx);
  on.lineTo(endPx - 0.5, yPx + heightPx / 2);
  on.fill();
}

function drawDashes(on: Canvas, colour: string, fromPx: number, toPx: number, yPx: number, widthPx: number): void {
  on.strokeStyle = colour;
  on.lineWidth = widthPx;
  on.setLineDash([4, 3]);
  on.beginPath();
  on.moveTo(fromPx, yPx);
  on.lineTo(Math.max(toPx, fromPx + NARROWEST_PX), yPx);
  on.stroke();
  on.setLineDash([]);
}

function outline(on: Canvas, colour: string, xPx: number, yPx: number, widthPx: number, heightPx: number): void {
  on.strokeStyle = colour;
  on.lineWidth = 1;
  on.strokeRect(xPx + 0.5, yPx + 0.5, Math.max(widthPx - 1, 1), heightPx - 1);
}

/** Write within a bar, if there is room where it can be seen. */
function label(on: Canvas, picture: Picture, text: string, fromPx: number, widthPx: number, yPx: number): void {
  const leftPx = Math.max(fromPx, 0);
  const roomPx = fromPx + widthPx - leftPx;
  if (roomPx < 22) return;
  setFont(on, picture.theme.smallFont);
  if (textWidth(on, text) + 6 > roomPx) return;
  on.fillStyle = picture.theme.onBar;
  on.fillText(text, leftPx + 4, yPx + 0.5);
}

/** Write on a line, on a ground of its own, if there is room: in its middle, or where it still grows. */
function labelLine(
  on: Canvas,
  picture: Picture,
  text: string,
  fromPx: number,
  widthPx: number,
  yPx: number,
  isOpen: boolean,
): void {
  setFont(on, picture.theme.smallFont);
  const textPx = textWidth(on, text);
  if (textPx + 20 > widthPx) return;
  const xPx = isOpen ? fromPx + widthPx - textPx - 10 : fromPx + (widthPx - textPx) / 2;
  on.fillStyle = picture.theme.ground;
  on.fillRect(xPx - 3, yPx - 6, textPx + 6, 12);
  on.fillStyle = picture.theme.ink;
  on.fillText(text, xPx, yPx + 0.5);
}

function durationOf(picture: Picture, track: Track, segment: number): string {
  const { table, shiftMs } = track;
  const endMs = table.segmentEndMs[segment]!;
  const reachMs = endMs === OPEN ? picture.view.nowMs - shiftMs : endMs;
  return picture.showDuration(reachMs - table.segmentStartMs[segment]!);
}

/** A line under what is on the critical path, a frame around what is selected or pointed at. */
function drawEmphasis(
  on: Canvas,
  picture: Picture,
  track: Track,
  span: number,
  startPx: number,
  endPx: number,
  yPx: number,
): void {
  const { theme, selected, hovered } = picture;
  const [fromPx, toEndPx] = clip(picture, startPx, endPx);
  const widthPx = Math.max(toEndPx - fromPx, NARROWEST_PX);
  if (picture.paths?.get(track)?.has[span] === 1) {
    on.fillStyle = theme.accent;
    on.fillRect(fromPx, yPx + BAR_PX / 2 + 1, widthPx, 2);
  }
  const isSelected = selected !== null && selected.track === track && selected.span === span;
  const isHovered = hovered !== null && hovered.track === track && hovered.span === span;
  if (!isSelected && !isHovered) return;
  on.globalAlpha = 1;
  on.strokeStyle = isSelected ? theme.accent : theme.muted;
  on.lineWidth = isSelected ? 2 : 1;
  on.beginPath();
  on.roundRect(fromPx - 2, yPx - BAR_PX / 2 - 2, widthPx + 4, BAR_PX + 4, 3);
  on.stroke();
}

/**
 * Draw a lane: wide spans in detail; narrow ones, and crowds of them, as bars whose height says how full they are.
 * A failure shows at any zoom, as a tick that stands above its bar.
 */
export function drawLane(on: Canvas, picture: Picture, track: Track, lane: Lane, yPx: number): void {
  const { table } = track;
  const { theme, view, crowds } = picture;
  const work = readColour(theme.work);
  const waiting = readColour(theme.waiting);
  const failed = packColour(readColour(theme.failed), 1);
  const isPlain = picture.matches.isEmpty && picture.paths === null;
  const bottomPx = yPx - AXIS_PX + BAR_PX / 2;
  sliceLane(table, lane, view, track.shiftMs, picture.fromPx, (box) => {
    const span = lane.spans[box.from]!;
    const widthPx = Math.max(box.endPx - box.startPx, 1);
    const isOne = box.to - box.from === 1;
    const detailedPx = isOne && isSimple(track, span) ? SIMPLE_PX : DETAILED_PX;
    if (isOne && (widthPx >= detailedPx || isMarked(picture, track, span))) {
      drawSpan(on, picture, track, span, yPx);
      if (widthPx > 30) drawName(on, picture, track, span, box.startPx, box.endPx, yPx);
      return;
    }
    const alpha = isPlain ? 1 : crowdAlpha(picture, track, lane, box);
    const fullness = Math.min(1, box.busyMs / Math.max(view.camera.foldedPerPx * widthPx, 1e-9));
    const isWork = isWorkCode(table.kind[span]!);
    const heightPx = isWork ? BAR_PX * (0.4 + 0.6 * fullness) : 5;
    const pixel = packColour(isWork ? work : waiting, alpha);
    crowds.fill(box.startPx, box.endPx, bottomPx - heightPx, bottomPx, pixel);
    if (box.failed > 0 && alpha === 1) {
      crowds.fill(
        box.startPx,
        Math.max(box.endPx, box.startPx + NARROWEST_PX),
        bottomPx - BAR_PX - 2,
        bottomPx,
        failed,
      );
    }
  });
}

function isSimple({ table }: Track, span: number): boolean {
  const only = table.firstSegment[span]!;
  return only >= 0 && only === table.lastSegment[span] && table.segmentOutcome[only] === COMPLETED;
}

function isMarked({ selected, hovered }: Picture, track: Track, span: number): boolean {
  return (selected?.span === span && selected.track === track) || (hovered?.span === span && hovered.track === track);
}

/** The strongest of the first few of a crowd: looking at all would cost what crowds are there to save. */
function crowdAlpha(picture: Picture, track: Track, lane: Lane, box: { from: number; to: number }): number {
  let alpha = 0;
  for (let at = box.from; at < Math.min(box.to, box.from + 32); at++) {
    alpha = Math.max(alpha, alphaOf(picture, track, lane.spans[at]!));
  }
  return alpha;
}

function drawName(
  on: Canvas,
  picture: Picture,
  track: Track,
  span: number,
  startPx: number,
  endPx: number,
  yPx: number,
): void {
  const { table } = track;
  const kind = table.kindOf(span);
  const isFullBar = (kind === "step" || kind === "operation") && table.attempts[span]! === 1;
  if (!isFullBar || table.statusOf(span) !== "completed") return;
  // It may have been queued first: the name belongs on the attempt.
  const attemptPx = toPx(picture.view, table.segmentStartMs[table.lastSegment[span]!]! + track.shiftMs);
  const [fromPx, toEndPx] = clip(picture, Math.max(startPx, attemptPx, 0), endPx);
  setFont(on, picture.theme.smallFont);
  const text = fitText(on, callName(kind, table.nameOf(span)), toEndPx - fromPx - 8);
  if (text.length < 4) return;
  on.globalAlpha = alphaOf(picture, track, span);
  on.fillStyle = picture.theme.onBar;
  on.fillText(text, fromPx + 4, yPx + 0.5);
  on.globalAlpha = 1;
}

/** Keep numbers small: at the closest zoom a week is 10^13 pixels long, and canvases draw in single precision. */
export function clip(picture: Picture, startPx: number, endPx: number): [number, number] {
  return [Math.max(startPx, -20), Math.min(endPx, picture.view.camera.widthPx + 20)];
}

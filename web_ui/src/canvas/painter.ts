/**
 * The painter: one picture of the chart, from nothing but a `Picture`. It keeps no state and decides nothing: where
 * things are is the model's, what is shown the chart's.
 *
 * Order: ground, breaks and grid, row grounds, bars, markers, links of the critical path, names, axis, pointer and measure.
 */

import { showCount } from "../model/instants";
import { type Axis, type Break, makeAxis } from "../model/timeline_axis";
import { toPx } from "../model/timeline_columns";
import { NONE } from "../model/timeline_spans";
import { drawLane, drawSpan } from "./bars";
import { drawLabel } from "./labels";
import { drawMarker, placeMarkers } from "./markers";
import { AXIS_PX, type Picture } from "./picture";
import { setFont, textWidth } from "./texts";

type Canvas = CanvasRenderingContext2D;

/** Paint the chart, or what has grown of it; the context is scaled to CSS pixels. */
export function paint(on: Canvas, picture: Picture): void {
  on.save();
  if (picture.fromPx > 0) clipToGrowth(on, picture);
  paintAll(on, picture);
  on.restore();
}

/** Names, whose counts and durations change, and the columns that have grown. */
function clipToGrowth(on: Canvas, { labelPx, fromPx, widthPx, heightPx }: Picture): void {
  on.beginPath();
  on.rect(0, 0, labelPx, heightPx);
  on.rect(labelPx + fromPx, 0, Math.max(0, widthPx - labelPx - fromPx), heightPx);
  on.clip();
}

function paintAll(on: Canvas, picture: Picture): void {
  const { widthPx, heightPx, labelPx, theme } = picture;
  const axis = makeAxis(picture.view);
  on.fillStyle = theme.ground;
  on.fillRect(0, 0, widthPx, heightPx);

  on.save();
  on.beginPath();
  on.rect(labelPx, 0, widthPx - labelPx, heightPx);
  on.clip();
  on.translate(labelPx, 0);
  drawGrid(on, picture, axis);
  on.restore();

  on.save();
  on.beginPath();
  on.rect(0, AXIS_PX, widthPx, heightPx - AXIS_PX);
  on.clip();
  drawRowGrounds(on, picture);
  on.beginPath();
  on.rect(labelPx, AXIS_PX, widthPx - labelPx, heightPx - AXIS_PX);
  on.clip();
  on.translate(labelPx, 0);
  picture.crowds.begin(Math.ceil(widthPx - labelPx), Math.ceil(heightPx - AXIS_PX), picture.fromPx);
  forEachRow(picture, (row, yPx) => {
    const found = picture.scene.rowAt(row)!;
    if (found.kind === "span") {
      drawSpan(on, picture, found.track, found.span, yPx);
      drawPointers(on, picture, row, yPx);
    } else drawLane(on, picture, found.track, found.lane, yPx);
  });
  const signs = placeMarkers(picture);
  on.translate(0, AXIS_PX);
  picture.crowds.flush(on);
  on.translate(0, -AXIS_PX);
  for (const sign of signs) drawMarker(on, picture, sign);
  drawLinks(on, picture);
  on.restore();

  on.save();
  on.beginPath();
  on.rect(0, AXIS_PX, labelPx, heightPx - AXIS_PX);
  on.clip();
  const first = Math.ceil(picture.view.camera.topPx / picture.rowPx - 0.3);
  forEachRow(picture, (row, yPx) => drawLabel(on, picture, picture.scene.rowAt(row)!, yPx, row === first));
  on.restore();

  drawAxis(on, picture, axis);
  drawPointer(on, picture);
}

/** Visit the rows in sight with the middle of each. */
export function forEachRow(picture: Picture, visit: (row: number, yPx: number) => void): void {
  const { rowPx, view, scene, heightPx } = picture;
  const { topPx } = view.camera;
  const first = Math.max(0, Math.floor(topPx / rowPx));
  const last = Math.min(scene.rowCount - 1, Math.floor((topPx + heightPx - AXIS_PX) / rowPx));
  for (let row = first; row <= last; row++) visit(row, AXIS_PX + row * rowPx - topPx + rowPx / 2);
}

function drawGrid(on: Canvas, picture: Picture, axis: Axis): void {
  const { theme, heightPx, patterns, fromPx } = picture;
  for (const { startPx, endPx } of axis.breaks) {
    if (endPx + 1 < fromPx) continue;
    on.fillStyle = patterns.gap;
    on.fillRect(startPx, AXIS_PX, endPx - startPx, heightPx - AXIS_PX);
    on.fillStyle = theme.gridStrong;
    on.fillRect(Math.round(startPx), AXIS_PX, 1, heightPx);
    on.fillRect(Math.round(endPx), AXIS_PX, 1, heightPx);
  }
  for (const tick of axis.ticks) {
    if (tick.px + 1 < fromPx) continue;
    on.fillStyle = tick.isMajor ? theme.gridStrong : theme.grid;
    on.fillRect(Math.round(tick.px), AXIS_PX, 1, heightPx);
  }
}

function drawRowGrounds(on: Canvas, picture: Picture): void {
  const { theme, rowPx, widthPx, selected, scene } = picture;
  const selectedRow = selected === null ? NONE : scene.rowOf(selected);
  forEachRow(picture, (row, yPx) => {
    if (row === selectedRow || row === picture.hoveredRow) {
      on.fillStyle = row === selectedRow ? theme.selected : theme.hover;
      on.fillRect(0, yPx - rowPx / 2, widthPx, rowPx);
    }
    const found = scene.rowAt(row)!;
    const isGroupStart = found.kind === "lane" && found.lane.at === 0 && row > 0;
    if (isGroupStart) {
      on.fillStyle = theme.grid;
      on.fillRect(0, Math.round(yPx - rowPx / 2), widthPx, 1);
    }
    if (found.kind === "span" && picture.matches.has(found.track, found.span)) {
      on.fillStyle = theme.match;
      on.fillRect(0, yPx - rowPx / 2, 3, rowPx);
    }
  });
}

/** A row whose bar is out of sight says on which side it is. */
function drawPointers(on: Canvas, picture: Picture, row: number, yPx: number): void {
  const found = picture.scene.rowAt(row)!;
  if (found.kind !== "span") return;
  const { view, theme } = picture;
  const { table, shiftMs } = found.track;
  const startPx = toPx(view, table.startMs[found.span]! + shiftMs);
  const endPx = toPx(view, table.reachMs(found.span, view.nowMs - shiftMs) + shiftMs);
  const isLeft = endPx < 0;
  if (!isLeft && startPx <= view.camera.widthPx) return;
  const xPx = isLeft ? 5 : view.camera.widthPx - 5;
  const tipPx = isLeft ? -4 : 4;
  on.strokeStyle = theme.faint;
  on.lineWidth = 1.5;
  on.beginPath();
  on.moveTo(xPx - tipPx / 2, yPx - 4);
  on.lineTo(xPx + tipPx / 2, yPx);
  on.lineTo(xPx - tipPx / 2, yPx + 4);
  on.stroke();
}

/** Lines from what was delivered to the calls that followed, along the critical path. */
function drawLinks(on: Canvas, picture: Picture): void {
  const { paths, scene, view, rowPx, heightPx, theme } = picture;
  if (paths === null || scene.arrangement !== "calls") return;
  on.strokeStyle = theme.accent;
  on.lineWidth = 1.5;
  for (const [track, path] of paths) {
    const { table, shiftMs } = track;
    on.beginPath();
    for (let at = 1; at < path.spans.length; at++) {
      const span = path.spans[at]!;
      const xPx = toPx(view, table.startMs[span]! + shiftMs);
      if (xPx < -4 || xPx > view.camera.widthPx + 4) continue;
      const middle = (which: number): number =>
        AXIS_PX + scene.rowOf({ track, span: which }) * rowPx - view.camera.topPx + rowPx / 2;
      const fromPx = middle(path.spans[at - 1]!);
      const toRowPx = middle(span);
      if (Math.max(fromPx, toRowPx) < AXIS_PX || Math.min(fromPx, toRowPx) > heightPx) continue;
      const x = Math.round(xPx) - 0.5;
      on.moveTo(x, Math.max(fromPx, -10));
      on.lineTo(x, Math.min(toRowPx, heightPx + 10));
    }
    on.stroke();
  }
}

function drawAxis(on: Canvas, picture: Picture, axis: Axis): void {
  const { theme, labelPx, widthPx, heightPx, scene, view } = picture;
  on.fillStyle = theme.panel;
  on.fillRect(0, 0, widthPx, AXIS_PX);
  on.fillStyle = theme.gridStrong;
  on.fillRect(0, AXIS_PX - 1, widthPx, 1);
  on.fillRect(labelPx - 1, 0, 1, heightPx);
  setFont(on, theme.smallFont);
  on.fillStyle = theme.muted;
  const count = showCount(scene.rowCount);
  on.fillText(scene.arrangement === "calls" ? `${count} rows` : `${count} lanes`, 10, AXIS_PX / 2);
  if (axis.base !== "") {
    on.textAlign = "right";
    on.fillText(axis.base, labelPx - 10, AXIS_PX / 2);
    on.textAlign = "left";
  }
  on.save();
  on.beginPath();
  on.rect(labelPx, 0, widthPx - labelPx, AXIS_PX);
  on.clip();
  on.translate(labelPx, 0);
  const taken = axis.breaks.map((one) => drawBreak(on, picture, one)).filter((one) => one !== null);
  let freePx = 2;
  for (const tick of axis.ticks) {
    on.fillStyle = theme.gridStrong;
    on.fillRect(Math.round(tick.px), AXIS_PX - 6, 1, 5);
    const fromPx = tick.px + 4;
    const toPx = fromPx + textWidth(on, tick.label);
    if (fromPx < freePx || taken.some((one) => fromPx < one.endPx && toPx > one.startPx)) continue;
    on.fillStyle = tick.isMajor ? theme.ink : theme.muted;
    on.fillText(tick.label, fromPx, AXIS_PX / 2);
    freePx = toPx + 8;
  }
  if (!scene.root.table.isEnded) {
    const nowPx = toPx(view, view.nowMs);
    on.fillStyle = theme.accent;
    on.fillRect(Math.round(nowPx), 4, 1.5, AXIS_PX - 4);
  }
  on.restore();
}

interface Taken {
  readonly startPx: number;
  readonly endPx: number;
}

/** A gap that is pressed together: the axis is torn there, and says how long it is. Tells which part has its text. */
function drawBreak(on: Canvas, picture: Picture, { startPx, endPx, label }: Break): Taken | null {
  const { theme } = picture;
  on.strokeStyle = theme.muted;
  on.lineWidth = 1;
  on.beginPath();
  const yPx = AXIS_PX - 3.5;
  for (let xPx = startPx, up = 1; xPx < endPx; xPx += 4, up = -up) {
    on.moveTo(xPx, yPx + 2 * up);
    on.lineTo(Math.min(xPx + 4, endPx), yPx - 2 * up);
  }
  on.stroke();
  const textPx = textWidth(on, label);
  const middlePx = (startPx + endPx) / 2;
  // A little wider than its gap is no harm; much wider would cover times.
  if (textPx > endPx - startPx + 12) return null;
  on.fillStyle = theme.ink;
  on.fillText(label, middlePx - textPx / 2, AXIS_PX / 2 - 2);
  return { startPx: middlePx - textPx / 2 - 6, endPx: middlePx + textPx / 2 + 6 };
}

function drawPointer(on: Canvas, picture: Picture): void {
  const { pointerPx, measured, labelPx, widthPx, heightPx, theme, view } = picture;
  on.save();
  on.beginPath();
  on.rect(labelPx, 0, widthPx - labelPx, heightPx);
  on.clip();
  on.translate(labelPx, 0);
  if (measured !== null) {
    const [fromPx, toEndPx] = [toPx(view, measured.startMs), toPx(view, measured.endMs)].sort((a, b) => a - b) as [
      number,
      number,
    ];
    on.fillStyle = theme.selected;
    on.fillRect(fromPx, AXIS_PX, toEndPx - fromPx, heightPx);
    on.fillStyle = theme.accent;
    on.fillRect(Math.round(fromPx), AXIS_PX, 1, heightPx);
    on.fillRect(Math.round(toEndPx), AXIS_PX, 1, heightPx);
    on.fillRect(fromPx, AXIS_PX + 11, toEndPx - fromPx, 1);
    setFont(on, theme.boldFont);
    const textPx = textWidth(on, picture.measuredText);
    const xPx = Math.min(Math.max((fromPx + toEndPx - textPx) / 2, 8), view.camera.widthPx - textPx - 8);
    on.fillStyle = theme.accent;
    on.beginPath();
    on.roundRect(xPx - 6, AXIS_PX + 2, textPx + 12, 19, 4);
    on.fill();
    on.fillStyle = theme.onBar;
    on.fillText(picture.measuredText, xPx, AXIS_PX + 12);
  } else if (pointerPx !== null) {
    on.fillStyle = theme.faint;
    on.fillRect(Math.round(pointerPx.x), AXIS_PX, 1, heightPx);
  }
  on.restore();
}

/**
 * The aim: what lies under the pointer, and what is measured from one point to another.
 *
 * Points are of the canvas; the chart begins right of the names (`labelPx`) and below the axis.
 */

import { toMs } from "../model/timeline_columns";
import { hitSpan, snapMs } from "../model/timeline_hit";
import type { Measure } from "../model/timeline_measure";
import type { SpanAt } from "../model/timeline_scene";
import { NONE } from "../model/timeline_spans";
import { twistyPx } from "./labels";
import { AXIS_PX, type Point } from "./picture";
import type { Sight } from "./sight";

export class Aim {
  /** Where the pointer is over the chart, in its pixels; null elsewhere. */
  pointerPx: Point | null = null;
  hovered: SpanAt | null = null;
  hoveredRow = NONE;
  measured: Measure | null = null;
  isMeasuring = false;

  constructor(
    private readonly sight: Sight,
    private readonly tell: (at: SpanAt | null, xPx: number, yPx: number) => void,
  ) {}

  /** The pointer is at a point of the canvas, or nowhere. */
  point(at: Point | null): void {
    const { labelPx } = this.sight;
    const isInChart = at !== null && at.x >= labelPx && at.y >= AXIS_PX;
    this.pointerPx = at !== null && at.x >= labelPx ? { x: at.x - labelPx, y: at.y - AXIS_PX } : null;
    this.hoveredRow = at !== null && at.y >= AXIS_PX ? this.rowNear(at.y) : NONE;
    const hit = at === null ? null : isInChart ? this.hit(at.x, at.y) : this.labelled(at.x, at.y);
    const isOther = hit?.track !== this.hovered?.track || hit?.span !== this.hovered?.span;
    this.hovered = hit;
    if (isOther || hit !== null) this.tell(isInChart ? hit : null, at?.x ?? 0, at?.y ?? 0);
    this.sight.invalidate();
  }

  private rowNear(yPx: number): number {
    return Math.floor((yPx - AXIS_PX + this.sight.eye.camera.topPx) / this.sight.rowPx);
  }

  /** The span at a point. */
  hit(xPx: number, yPx: number): SpanAt | null {
    const { scene, rowPx, labelPx } = this.sight;
    return yPx < AXIS_PX ? null : hitSpan(scene, this.sight.view(), rowPx, xPx - labelPx, yPx - AXIS_PX);
  }

  /** The call whose name is at a point. */
  labelled(xPx: number, yPx: number): SpanAt | null {
    if (xPx >= this.sight.labelPx || yPx < AXIS_PX) return null;
    const row = this.sight.scene.rowAt(this.rowNear(yPx));
    return row?.kind === "span" ? { track: row.track, span: row.span } : null;
  }

  /** Whether a point is on the sign that opens a child run. */
  isOnTwisty(at: SpanAt, xPx: number): boolean {
    const { startPx, endPx } = twistyPx(at.track);
    return at.track.table.kindOf(at.span) === "child" && xPx >= startPx - 4 && xPx < endPx + 4;
  }

  // -- measuring

  setMeasuring(isMeasuring: boolean): void {
    this.isMeasuring = isMeasuring;
    if (!isMeasuring) this.measured = null;
    this.sight.invalidate();
  }

  /** Measure from where something near one point begins or ends to where something near the other does. */
  measureBetween(from: Point, to: Point): void {
    const { scene, rowPx, labelPx } = this.sight;
    const snap = (at: Point): number => snapMs(scene, this.sight.view(), rowPx, at.x - labelPx, at.y - AXIS_PX);
    this.measure({ startMs: snap(from), endMs: snap(to) });
  }

  /** Show a stretch of the chart, in its pixels, that is about to be zoomed to. */
  markPixels(fromPx: number, toEndPx: number): void {
    const view = this.sight.view();
    this.measure({ startMs: toMs(view, fromPx), endMs: toMs(view, toEndPx) });
  }

  measure(measured: Measure | null): void {
    this.measured = measured;
    this.sight.invalidate();
  }
}

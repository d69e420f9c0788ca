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
  /** Where the pointer is, on the canvas. */
  private at: Point | null = null;

  constructor(
    private readonly sight: Sight,
    private readonly tell: (at: SpanAt | null, xPx: number, yPx: number) => void,
  ) {}

  /** The pointer is at a point of the canvas, or nowhere. */
  point(at: Point | null): void {
    this.at = at;
    const { labelPx } = this.sight;
    this.pointerPx = at !== null && at.x >= labelPx ? { x: at.x - labelPx, y: at.y - AXIS_PX } : null;
    const isOther = this.look();
    if (!isOther && this.hovered !== null) this.tellOf(this.hovered);
    this.sight.invalidate();
  }

  /** See what is at the pointer now: rows scroll and bars grow below one that rests. Tells whether it is another. */
  look(): boolean {
    const { at } = this;
    const { hovered, hoveredRow } = this;
    this.hoveredRow = at !== null && at.y >= AXIS_PX ? this.rowNear(at.y) : NONE;
    this.hovered = at === null ? null : at.x < this.sight.labelPx ? this.labelled(at.x, at.y) : this.hit(at.x, at.y);
    const isOther = this.hovered?.track !== hovered?.track || this.hovered?.span !== hovered?.span;
    if (isOther) this.tellOf(this.hovered);
    return isOther || this.hoveredRow !== hoveredRow;
  }

  /** Names say themselves what they are of. */
  private tellOf(hit: SpanAt | null): void {
    const { at } = this;
    this.tell(at !== null && at.x >= this.sight.labelPx ? hit : null, at?.x ?? 0, at?.y ?? 0);
  }

  private rowNear(yPx: number): number {
    return Math.floor((yPx - AXIS_PX + this.sight.eye.camera.topPx) / this.sight.rowPx);
  }

  /** The span at a point of the chart. */
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

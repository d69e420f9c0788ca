/**
 * Growth: which part of a picture is still true when nothing happened but that time went on and news came.
 *
 * Of a run that has a hundred thousand spans a thousand events a second change the last columns only, and painting
 * everything for each of them is what makes frames late. So the chart says what changed, and gets the column from
 * which on its picture has to be painted.
 *
 * 1. What was painted in parts is what would be painted at once (`check_timeline.mjs` compares their pixels).
 * 2. Whoever changes anything but time says `all`. A camera, a scale or rows that are others need not be told.
 */

import type { Camera } from "../model/timeline_camera";
import { toPx, type View } from "../model/timeline_columns";
import type { Track } from "../model/timeline_scene";

/** How far to the left what ends "now" reaches with its signs, corners and texts. */
const REACH_PX = 96;

/** What a picture that is there was painted of. */
interface Painted {
  readonly view: View;
  readonly rows: number;
}

export class Growth {
  private painted: Painted | null = null;
  private changedMs = Number.POSITIVE_INFINITY;

  /** Something changed that can be anywhere. */
  all(): void {
    this.painted = null;
  }

  /** Something changed from an instant of a run on: a span since its beginning, or a marker. */
  since({ shiftMs }: Track, sinceMs: number): void {
    this.changedMs = Math.min(this.changedMs, sinceMs + shiftMs);
  }

  /** The column from which on to paint; 0 is everything. What is painted then is what is there. */
  take(view: View, rows: number): number {
    const { painted, changedMs } = this;
    this.painted = { view, rows };
    this.changedMs = Number.POSITIVE_INFINITY;
    if (painted === null || painted.rows !== rows || painted.view.scale !== view.scale) return 0;
    if (!isSameCamera(painted.view.camera, view.camera)) return 0;
    // A clock that was put back has bars end earlier than they were painted.
    const changedPx = toPx(view, Math.min(changedMs, painted.view.nowMs, view.nowMs));
    return Math.max(0, Math.floor(Math.min(changedPx, view.camera.widthPx)) - REACH_PX);
  }
}

function isSameCamera(left: Camera, right: Camera): boolean {
  return (
    left.startFolded === right.startFolded &&
    left.foldedPerPx === right.foldedPerPx &&
    left.topPx === right.topPx &&
    left.widthPx === right.widthPx &&
    left.heightPx === right.heightPx
  );
}

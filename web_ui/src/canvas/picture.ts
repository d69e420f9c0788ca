/** What a painter is told: everything that one picture of the chart depends on. */

import type { View } from "../model/timeline_columns";
import type { Measure } from "../model/timeline_measure";
import type { CriticalPath } from "../model/timeline_path";
import type { Scene, SpanAt, Track } from "../model/timeline_scene";
import type { Matches } from "../model/timeline_search";
import type { Crowds } from "./crowds";
import type { Patterns } from "./patterns";
import type { Theme } from "./theme";

export interface Picture {
  readonly scene: Scene;
  readonly view: View;
  readonly theme: Theme;
  readonly patterns: Patterns;
  readonly crowds: Crowds;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly labelPx: number;
  readonly rowPx: number;
  /** Only names, and what lies right of this column of the chart, are painted; the rest is there. 0 is everything. */
  readonly fromPx: number;
  readonly selected: SpanAt | null;
  readonly hovered: SpanAt | null;
  readonly hoveredRow: number;
  readonly matches: Matches;
  /** By track, where the critical path is shown. */
  readonly paths: ReadonlyMap<Track, CriticalPath> | null;
  readonly measured: Measure | null;
  readonly measuredText: string;
  readonly showDuration: (ms: number) => string;
  /** Where the pointer is over the chart, in its pixels; null elsewhere. */
  readonly pointerPx: Point | null;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export const AXIS_PX = 26;

/** How strongly a span is drawn: weakly where a search or the critical path is about others. */
export function alphaOf(picture: Picture, track: Track, span: number): number {
  if (!picture.matches.isEmpty && !picture.matches.has(track, span)) return 0.22;
  const path = picture.paths?.get(track);
  return path !== undefined && path.has[span] !== 1 && span !== 0 ? 0.3 : 1;
}

/** Readings: what is read off a whole run. Each costs as much as the run is long, so it is kept until that changes. */

import { type Measure, type Measured, measure } from "../model/timeline_measure";
import { type CriticalPath, findCriticalPath } from "../model/timeline_path";
import type { Scene, SpanAt, Track } from "../model/timeline_scene";
import { Matches } from "../model/timeline_search";

export class Readings {
  matches: Matches;
  matchPlace = -1;
  isPathShown = false;
  paths: Map<Track, CriticalPath> | null = null;
  private measurement: { of: Measure; version: number; is: Measured } | null = null;

  constructor(private scene: Scene) {
    this.matches = new Matches(scene, "");
  }

  /** The run has changed, or another one is shown. Tells whether that can change what is drawn. */
  renew(scene: Scene): boolean {
    this.scene = scene;
    const isDrawn = !this.matches.isEmpty || this.isPathShown || this.paths !== null;
    if (!this.matches.isEmpty) this.matches = new Matches(scene, this.matches.text);
    this.paths = this.isPathShown
      ? new Map([...scene.tracks()].map((track) => [track, findCriticalPath(track.table)]))
      : null;
    return isDrawn;
  }

  search(text: string): void {
    this.matches = new Matches(this.scene, text);
    this.matchPlace = -1;
  }

  /** The next match after a span, or the one before. */
  seek(from: SpanAt | null, direction: 1 | -1): SpanAt | null {
    this.matchPlace = this.matches.next(from, direction);
    return this.matches.at(this.matchPlace);
  }

  pathCount(): number {
    return [...(this.paths?.values() ?? [])].reduce((sum, path) => sum + path.spans.length, 0);
  }

  /** `version` says which state of the run it is. */
  measure(range: Measure | null, version: number, nowMs: number): Measured | null {
    if (range === null) return null;
    if (this.measurement?.of !== range || this.measurement.version !== version) {
      this.measurement = { of: range, version, is: measure(this.scene, range, nowMs) };
    }
    return this.measurement.is;
  }
}

/**
 * What is shown: a run, and those child runs that were opened below the calls that started them. Each is heard as it grows.
 *
 * New spans come behind those that are there. When a run was read anew its table is another one: then so is the scene,
 * with the same children open.
 */

import type { LiveTrace } from "../model/live_trace";
import { Scene, type SpanAt, type Track } from "../model/timeline_scene";

export interface ShownEars {
  /** A span is another one from an instant of its run on. */
  edged(track: Track, sinceMs: number): void;
  grew(): void;
  /** There is more, and it may be anywhere. */
  marked(): void;
  /** A run was read anew: `renew` makes the scene another one. */
  anew(renew: () => void): void;
}

export class Shown {
  scene: Scene;
  /** By run id: how it grows, and how to stop hearing of it. */
  private readonly lives = new Map<string, { live: LiveTrace; stop: () => void }>();

  constructor(
    private readonly root: LiveTrace,
    private readonly ears: ShownEars,
  ) {
    this.scene = new Scene(root.table);
    this.hear(root);
  }

  stop(): void {
    for (const { stop } of this.lives.values()) stop();
  }

  private hear(live: LiveTrace): void {
    const stops = [
      live.onEdge((span, kind, atMs, delta) => {
        const track = this.trackOf(live.runId);
        if (track === null) return;
        this.scene.noteEdge(track, span, kind, atMs, delta);
        this.ears.edged(track, delta === 0 ? atMs : track.table.startMs[span]!);
      }),
      live.onChange((change) => {
        if (change === "anew") this.ears.anew(() => this.renew());
        else this.ears[change]();
      }),
    ];
    this.lives.set(live.runId, {
      live,
      stop: () => {
        for (const stop of stops) stop();
      },
    });
  }

  private renew(): void {
    const before = this.scene;
    this.scene = new Scene(this.root.table);
    this.scene.arrangement = before.arrangement;
    this.scene.isFolding = before.isFolding;
    for (const track of before.tracks()) this.adopt(before, track);
    this.scene.scale = before.scale;
  }

  /** Open a child again that was open in the scene before. */
  private adopt(before: Scene, track: Track): void {
    if (track.parent === null) return;
    const parent = this.scene.find(before.idOf({ track: track.parent, span: track.parentSpan }));
    const live = this.lives.get(track.table.runId)?.live;
    if (parent !== null && live !== undefined) this.scene.open(parent.track, parent.span, live.table);
  }

  openChild(at: SpanAt, live: LiveTrace): void {
    if (at.track.children.has(at.span) || this.lives.has(live.runId)) return;
    this.scene.open(at.track, at.span, live.table);
    this.hear(live);
  }

  closeChild(at: SpanAt): void {
    this.scene.close(at.track, at.span);
    const shown = new Set([...this.scene.tracks()].map((track) => track.table.runId));
    for (const [id, { stop }] of this.lives) {
      if (shown.has(id)) continue;
      stop();
      this.lives.delete(id);
    }
  }

  /** The call that started a run, if it is shown. */
  findChild(runId: string): SpanAt | null {
    for (const track of this.scene.tracks()) {
      for (const [span, id] of track.table.childRunIds) if (id === runId) return { track, span };
    }
    return null;
  }

  trackOf(runId: string): Track | null {
    for (const track of this.scene.tracks()) if (track.table.runId === runId) return track;
    return null;
  }
}

// The child runs that are open in a timeline: each holds its run's feed until it is closed, or the timeline is.

import type { LiveTrace } from "../../model/live_trace";
import type { SpanAt } from "../../model/timeline_scene";
import type { OpenedRun, TimelineSource } from "./following";

/** What is needed of a chart. */
export interface Place {
  readonly scene: { idOf(at: SpanAt): string; find(id: string): SpanAt | null };
  readonly shown: { trackOf(runId: string): unknown };
  openChild(at: SpanAt, live: LiveTrace): void;
  closeChild(at: SpanAt): void;
}

export class OpenedRuns {
  private readonly runs = new Map<string, OpenedRun>();
  /** Asked for, and not here yet: who presses twice asks once. */
  private readonly coming = new Set<string>();
  private isOver = false;

  constructor(
    private readonly place: Place,
    private readonly source: () => TimelineSource,
    private readonly tell: (trouble: string) => void,
  ) {}

  /** Show the child run of a call, or hide it. Tells whether there is more to see than before. */
  async toggle(at: SpanAt): Promise<boolean> {
    if (at.track.children.has(at.span)) {
      this.place.closeChild(at);
      this.closeHidden();
      return false;
    }
    const runId = at.track.table.childRunIds.get(at.span);
    if (runId === undefined || this.runs.has(runId) || this.coming.has(runId)) return false;
    // The run may be read anew until the child's is here: then the call has another place.
    const id = this.place.scene.idOf(at);
    this.coming.add(runId);
    try {
      return this.show(runId, id, await this.source().open(runId));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!this.isOver) this.tell(`the child run ${runId} cannot be shown: ${why}`);
      return false;
    } finally {
      this.coming.delete(runId);
    }
  }

  private show(runId: string, id: string, run: OpenedRun): boolean {
    const at = this.isOver ? null : this.place.scene.find(id);
    if (at === null) {
      run.close();
      return false;
    }
    this.runs.set(runId, run);
    this.place.openChild(at, run.trace);
    this.tell("");
    return true;
  }

  private closeHidden(): void {
    for (const [id, run] of this.runs) {
      if (this.place.shown.trackOf(id) !== null) continue;
      run.close();
      this.runs.delete(id);
    }
  }

  /** Let go of all, also of what is still on its way. */
  close(): void {
    this.isOver = true;
    for (const run of this.runs.values()) run.close();
    this.runs.clear();
  }
}

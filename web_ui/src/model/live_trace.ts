// A run's spans while it goes on: one table, whoever looks at it. Events are folded in as they come.
//
// 1. There is one `LiveTrace` a run: timeline, graph and inspector read the same table, so they cannot differ.
// 2. Events come in order. What does not fit says so (`add` gives false): then the trace is to be read anew.
// 3. What no event tells (lines that were logged, streams, waits that were given up) comes with `setMarks`.

import type { EventView, Marker, MarksView, Span, Trace } from "../api_types";
import { Fold } from "./timeline_fold";
import { NONE, parseInstantUs, RUN_ID, readTrace, type SpanTable, showSpan, showTrace } from "./timeline_spans";

/** `grew`: events were folded in. `marked`: there is more of what no event tells, anywhere. `anew`: it is another table. */
export type Change = "grew" | "marked" | "anew";
export type EdgeEar = (span: number, segmentKind: string, atMs: number, delta: 1 | 0 | -1) => void;

export class LiveTrace {
  table: SpanTable;
  private fold: Fold;
  private marks = 0;
  private readonly edgeEars = new Set<EdgeEar>();
  private readonly ears = new Set<(change: Change) => void>();

  constructor(trace: Trace) {
    this.table = readTrace(trace);
    this.fold = this.makeFold();
  }

  get runId(): string {
    return this.table.runId;
  }

  /** The last event that is in here. */
  get seq(): number {
    return this.table.seq;
  }

  get isEnded(): boolean {
    return this.table.isEnded;
  }

  /** Take events; false: one is missing or cannot be folded in, and the trace is to be read anew. */
  add(events: readonly EventView[]): boolean {
    let isWhole = true;
    let hasGrown = false;
    for (const event of events) {
      const came = this.fold.add(event);
      if (came === "folded") hasGrown = true;
      isWhole = came !== "stale";
      if (!isWhole) break;
    }
    if (hasGrown) {
      this.fold.settleWaits();
      this.tell("grew");
    }
    return isWhole;
  }

  /** Take the trace as it was read anew. One that is behind what was folded in meanwhile is left. */
  replace(trace: Trace): void {
    if (trace.seq < this.seq) return;
    this.table = readTrace(trace);
    this.fold = this.makeFold();
    this.marks = 0;
    this.tell("anew");
  }

  /** Take what no event tells. */
  setMarks({ seq, items, pending_waits }: MarksView): void {
    const hasGivenUp = this.fold.giveUpWaits(new Set(pending_waits), seq);
    // There are only ever more of them.
    if (items.length > this.marks) {
      this.marks = items.length;
      const { table } = this;
      const told = table.markers.filter((marker) => marker.seq !== null);
      const found = items.map((mark): Marker => {
        const { kind, at, correlation_id: number, data } = mark;
        const isKnown = number !== null && table.findCall(number) !== NONE;
        const atMs = (parseInstantUs(at) - table.createdUs) / 1000;
        return { kind, span_id: isKnown ? String(number) : RUN_ID, at, at_ms: atMs, seq: null, data };
      });
      table.markers = [...told, ...found].sort((left, right) => left.at_ms - right.at_ms);
      table.version++;
    } else if (!hasGivenUp) return;
    this.tell("marked");
  }

  /** Give a span as the server would; null: there is none of this id. */
  show(id: string): Span | null {
    const span = this.table.findId(id);
    return span === NONE ? null : showSpan(this.table, span);
  }

  /** Give the whole as the server would. It costs as much as the run is long. */
  showAll(): Trace {
    return showTrace(this.table);
  }

  /** Hear of every change; gives the function that stops. */
  onChange(ear: (change: Change) => void): () => void {
    this.ears.add(ear);
    return () => this.ears.delete(ear);
  }

  /** Hear of every segment that begins (+1) or ends (−1), and of every marker of an event (0), in order. */
  onEdge(ear: EdgeEar): () => void {
    this.edgeEars.add(ear);
    return () => this.edgeEars.delete(ear);
  }

  private makeFold(): Fold {
    return new Fold(this.table, (span, kind, atMs, delta) => {
      for (const ear of this.edgeEars) ear(span, kind, atMs, delta);
    });
  }

  private tell(change: Change): void {
    for (const ear of this.ears) ear(change);
  }
}

/**
 * Folds a run's events, as they come, into the spans that are there: `core/traces.py` for the browser.
 *
 * 1. A trace that was read at event n, with the events from n + 1 folded in, is the trace that the server would
 *    give now. The server's own traces of recorded logs hold this (`timeline_fold.test.ts`).
 * 2. Events come in order, without a gap. One that is in the trace already is skipped; one that is missing, and the
 *    beginning of a fork (whose history is drawn in another run's time), is for the server: `add` says `"stale"`.
 * 3. A wait that nobody wants any more leaves no event. One whose time has passed while the log went on is shown
 *    as given up, and is not when its end is recorded after all.
 */

import type { EventView, Marker } from "../api_types";
import { NONE, OPEN, parseInstantUs, RUN, RUN_ID, type SpanTable, segmentsOf, showInstantAtMs } from "./timeline_spans";

/** The name by which an injected fault changes its run's attributes. */
const FAULT = "wf/fault";
const POSITION = /position (\d{1,9})\b/g;

export class Fold {
  private readonly openCalls = new Set<number>();
  /** Waits that are shown as given up, of which the log says nothing. */
  private readonly givenUp = new Set<number>();
  private lastMs = 0;

  /** `noteEdge` hears of every segment that begins (+1) or ends (−1), and of every marker (0), in order. */
  constructor(
    readonly table: SpanTable,
    private readonly noteEdge: (span: number, segmentKind: string, atMs: number, delta: 1 | 0 | -1) => void = () => {},
  ) {
    for (let span = 1; span < table.count; span++) {
      if (table.endMs[span] === OPEN) this.openCalls.add(span);
      else if (table.endSeq[span] === NONE && isWait(table, span) && !table.isEnded) this.givenUp.add(span);
    }
  }

  /** Take one event. `"stale"`: read the trace anew, this event cannot be folded in. */
  add(event: EventView): "folded" | "skipped" | "stale" {
    const { table } = this;
    if (event.seq <= table.seq) return "skipped";
    if (event.seq !== table.seq + 1 || event.type === "run_forked") return "stale";
    table.seq = event.seq;
    table.version++;
    const atMs = (parseInstantUs(event.at) - table.createdUs) / 1000;
    this.lastMs = atMs;
    table.noteInstant(atMs);
    HANDLERS[event.type]?.(this, event, atMs);
    return "folded";
  }

  /** Show waits whose time has passed as given up. Call it after a batch of events. */
  settleWaits(): void {
    const { table, lastMs } = this;
    for (const span of this.openCalls) {
      if (!isWait(table, span)) continue;
      const dueUs = table.dueAtUs.get(span);
      if (dueUs === undefined) continue;
      const dueMs = (dueUs - table.createdUs) / 1000;
      if (dueMs >= lastMs) continue;
      this.close(span, "abandoned", dueMs, NONE);
      this.givenUp.add(span);
    }
  }

  /** Show waits as given up that were made by event `seq` and that nobody wants any more; says whether there were any. */
  giveUpWaits(pending: ReadonlySet<number>, seq: number): boolean {
    const { table } = this;
    let hasGivenUp = false;
    for (const span of this.openCalls) {
      if (!isWait(table, span) || table.beginSeq[span]! > seq || pending.has(table.correlation[span]!)) continue;
      const dueUs = table.dueAtUs.get(span);
      const lastMs = Math.max(this.lastMs, table.lastMs);
      const dueMs = dueUs === undefined ? lastMs : (dueUs - table.createdUs) / 1000;
      this.close(span, "abandoned", Math.min(dueMs, lastMs), NONE);
      this.givenUp.add(span);
      hasGivenUp = true;
    }
    if (hasGivenUp) table.version++;
    return hasGivenUp;
  }

  // -- the run

  startRun(atMs: number): void {
    const { table } = this;
    if (table.isEnded || table.statusOf(RUN) === "running") return;
    table.setStatus(RUN, "running");
    this.enter(RUN, "running", atMs);
  }

  endRun(event: EventView, atMs: number): void {
    const { table } = this;
    if (table.isEnded) return;
    const status = event.type.slice("run_".length);
    setText(table.errorTypes, RUN, event.meta.error_type);
    setText(table.errorCodes, RUN, event.meta.code);
    this.close(RUN, status, atMs, event.seq, status);
    for (const span of this.givenUp) this.reopen(span);
    for (const span of [...this.openCalls].sort((left, right) => left - right)) {
      const was = table.statusOf(span);
      const isKept = was === "received" && table.kindOf(span) === "hook";
      this.close(span, was === "held" ? "released" : isKept ? was : "abandoned", atMs, NONE, "abandoned");
    }
  }

  // -- calls

  open(kind: string, name: string, status: string, event: EventView, atMs: number): number {
    const span = this.table.addSpan(kind, name, status, event.correlation_id ?? 0, event.seq, atMs);
    this.openCalls.add(span);
    return span;
  }

  /** The call of an event, if it is open. */
  find(event: EventView): number {
    const span = this.table.findCall(event.correlation_id ?? 0);
    if (span !== NONE && this.givenUp.has(span)) this.reopen(span);
    return span !== NONE && this.table.endMs[span] === OPEN ? span : NONE;
  }

  createStep(event: EventView, atMs: number): void {
    const name = event.name ?? "";
    const kind = name.startsWith("wf/") ? "operation" : "step";
    const isStarted = Boolean(event.attempt);
    const span = this.open(kind, name, isStarted ? "running" : "queued", event, atMs);
    if (isStarted) this.enter(span, "running", atMs, event.attempt ?? NONE);
    else this.enter(span, "queued", atMs);
  }

  startAttempt(event: EventView, atMs: number): void {
    const { table } = this;
    const span = this.find(event);
    if (span === NONE) return;
    const dueUs = table.dueAtUs.get(span);
    if (dueUs !== undefined) {
      table.dueAtUs.delete(span);
      const dueMs = (dueUs - table.createdUs) / 1000;
      // Its time had come, and it waited for a slot.
      if (atMs > dueMs) this.enter(span, "queued", Math.max(dueMs, table.segmentStartMs[table.lastSegment[span]!]!));
    }
    this.leave(span, atMs, "lost");
    this.enter(span, "running", atMs, event.attempt ?? NONE);
    table.setStatus(span, "running");
  }

  retryStep(event: EventView, atMs: number): void {
    const { table } = this;
    const span = this.find(event);
    if (span === NONE) return;
    this.leave(span, atMs, "failed");
    this.enter(span, "retry_wait", atMs);
    table.setStatus(span, "retrying");
    if (typeof event.meta.due_at === "number") table.dueAtUs.set(span, event.meta.due_at);
    setText(table.errorTypes, span, event.meta.error_type);
  }

  endStep(event: EventView, atMs: number): void {
    const { table } = this;
    const span = table.findCall(event.correlation_id ?? 0);
    if (span === NONE || table.endSeq[span] !== NONE) return;
    const errorType = event.type === "step_failed" ? event.meta.error_type : null;
    const isCancelled = String(errorType).endsWith("CancelledError");
    const status = event.type === "step_completed" ? "completed" : isCancelled ? "cancelled" : "failed";
    table.dueAtUs.delete(span);
    setText(table.errorTypes, span, errorType);
    const last = table.lastSegment[span]!;
    const isRunning = last !== NONE && table.segmentKinds.decode(table.segmentKind[last]!) === "running";
    // The run ended first; what was under way has ended now.
    if (table.endMs[span] !== OPEN && isRunning) {
      this.noteEdge(span, "running", table.segmentEndMs[last]!, 1);
      table.segmentEndMs[last] = OPEN;
    }
    this.close(span, status, atMs, event.seq, status);
  }

  // -- segments

  /** Begin a segment where the present one ends. */
  enter(span: number, kind: string, atMs: number, attempt: number = NONE): void {
    this.leave(span, atMs);
    this.table.addSegment(span, kind, atMs, attempt);
    this.noteEdge(span, kind, atMs, 1);
  }

  /** End the present segment; one without any length says nothing, unless it was an attempt. */
  leave(span: number, atMs: number, outcome = ""): void {
    const { table } = this;
    const last = table.lastSegment[span]!;
    if (last === NONE || table.segmentEndMs[last] !== OPEN) return;
    const startMs = table.segmentStartMs[last]!;
    const endMs = Math.max(atMs, startMs);
    const kind = table.segmentKinds.decode(table.segmentKind[last]!);
    table.segmentEndMs[last] = endMs;
    this.noteEdge(span, kind, endMs, -1);
    if (kind === "running") {
      table.segmentOutcome[last] = table.outcomes.encode(outcome);
    } else if (endMs === startMs) {
      table.dropLastSegment(span);
    }
  }

  close(span: number, status: string, atMs: number, seq: number, outcome = ""): void {
    const { table } = this;
    this.leave(span, atMs, outcome);
    let endMs = Math.max(atMs, table.startMs[span]!);
    for (const segment of segmentsOf(table, span)) endMs = Math.max(endMs, table.segmentEndMs[segment]!);
    table.endMs[span] = endMs;
    table.endSeq[span] = seq;
    table.setStatus(span, status);
    this.openCalls.delete(span);
  }

  private reopen(span: number): void {
    const { table } = this;
    this.givenUp.delete(span);
    this.openCalls.add(span);
    table.endMs[span] = OPEN;
    table.setStatus(span, "waiting");
    const last = table.lastSegment[span]!;
    if (last === NONE) table.addSegment(span, "waiting", table.startMs[span]!, NONE);
    else table.segmentEndMs[last] = OPEN;
  }

  mark(kind: string, spanId: string, event: EventView, atMs: number, data: Marker["data"] = {}): void {
    const at = showInstantAtMs(this.table, atMs, true);
    this.table.markers.push({ kind, span_id: spanId, at, at_ms: atMs, seq: event.seq, data });
    this.noteEdge(this.table.findId(spanId), "", atMs, 0);
  }
}

function isWait(table: SpanTable, span: number): boolean {
  const kind = table.kindOf(span);
  return kind === "sleep" || kind === "deadline";
}

function setText(texts: Map<number, string>, span: number, text: unknown): void {
  if (typeof text === "string") texts.set(span, text);
  else texts.delete(span);
}

type Handler = (fold: Fold, event: EventView, atMs: number) => void;

/** End an open call with a status. */
function ends(status: (event: EventView, fold: Fold, span: number) => string): Handler {
  return (fold, event, atMs) => {
    const span = fold.find(event);
    if (span !== NONE) fold.close(span, status(event, fold, span), atMs, event.seq);
  };
}

const HANDLERS: Record<string, Handler> = {
  run_started: (fold, _event, atMs) => fold.startRun(atMs),
  run_completed: (fold, event, atMs) => fold.endRun(event, atMs),
  run_failed: (fold, event, atMs) => fold.endRun(event, atMs),
  run_cancelled: (fold, event, atMs) => fold.endRun(event, atMs),
  step_created: (fold, event, atMs) => fold.createStep(event, atMs),
  step_started: (fold, event, atMs) => fold.startAttempt(event, atMs),
  step_retrying: (fold, event, atMs) => fold.retryStep(event, atMs),
  step_completed: (fold, event, atMs) => fold.endStep(event, atMs),
  step_failed: (fold, event, atMs) => fold.endStep(event, atMs),
  wait_created: (fold, event, atMs) => {
    const kind = event.meta.kind === "deadline" ? "deadline" : "sleep";
    const span = fold.open(kind, kind, "waiting", event, atMs);
    if (typeof event.meta.due_at === "number") fold.table.dueAtUs.set(span, event.meta.due_at);
    fold.enter(span, "waiting", atMs);
  },
  wait_completed: (fold, event, atMs) => {
    // 0 is the run's own timeout, whose deadline is no event.
    if (event.correlation_id === 0) fold.mark("timeout", RUN_ID, event, atMs);
    const span = fold.find(event);
    if (span !== NONE) fold.close(span, "completed", atMs, event.seq);
  },
  hook_created: (fold, event, atMs) =>
    fold.enter(fold.open("hook", event.name || "hook", "waiting", event, atMs), "waiting", atMs),
  hook_received: (fold, event, atMs) => {
    const span = fold.find(event);
    if (span === NONE) return;
    fold.mark("payload", String(event.correlation_id), event, atMs);
    fold.enter(span, "open", atMs);
    fold.table.setStatus(span, "received");
  },
  hook_disposed: ends(() => "disposed"),
  hook_conflict: ends(() => "conflict"),
  lock_requested: (fold, event, atMs) => {
    const name = (event.name ?? "").replace(/^lock:/, "");
    fold.enter(fold.open("lock", name, "queued", event, atMs), "queued", atMs);
  },
  lock_acquired: (fold, event, atMs) => {
    const span = fold.find(event);
    if (span === NONE) return;
    fold.enter(span, "held", atMs);
    fold.table.setStatus(span, "held");
  },
  lock_released: ends((_event, fold, span) => (fold.table.statusOf(span) === "held" ? "released" : "abandoned")),
  child_started: (fold, event, atMs) => {
    const runId = event.meta.run_id;
    const name = event.name || (typeof runId === "string" ? runId : "");
    const span = fold.open(event.meta.watch ? "watch" : "child", name, "running", event, atMs);
    setText(fold.table.childRunIds, span, runId);
    fold.enter(span, "waiting", atMs);
  },
  child_completed: (fold, event, atMs) => {
    const span = fold.find(event);
    if (span === NONE) return;
    if (typeof event.meta.run_id === "string") fold.table.childRunIds.set(span, event.meta.run_id);
    setText(fold.table.errorCodes, span, event.meta.code);
    fold.close(span, typeof event.meta.status === "string" ? event.meta.status : "completed", atMs, event.seq);
  },
  attributes_set: (fold, event, atMs) => {
    const set = (event.meta.set as Record<string, unknown> | undefined) ?? {};
    if (event.name !== FAULT) {
      fold.mark("attributes", RUN_ID, event, atMs, { set });
      return;
    }
    // What was done to the run on purpose is marked at the call that it was done to.
    const text = String(set.$fault ?? "");
    const numbers = [...text.matchAll(POSITION)].map((match) => match[1]!);
    const at = numbers.filter((number) => fold.table.findCall(Number(number)) !== NONE).at(-1);
    fold.mark("fault", at === undefined ? RUN_ID : String(Number(at)), event, atMs, { text });
  },
  cancel_requested: (fold, event, atMs) => fold.mark("cancel_requested", RUN_ID, event, atMs),
};

/**
 * The spans of one run as columns: what every part of the timeline reads.
 *
 * 1. A span's row here never changes while a run is followed; new spans come behind. Row 0 is the run.
 * 2. Times are milliseconds since the run was created (`Ms`). What has not ended has the end `OPEN`.
 * 3. A span's segments are a list in order of time (`firstSegment`, `nextSegment`), since attempts of many
 *    steps alternate in a log.
 * 4. Texts are numbers (`words`), and what few spans have is in maps.
 *
 * Objects would do for a thousand spans. At a hundred thousand, columns are read at the speed of memory, and
 * there is nothing for the garbage collector to look at while somebody pans.
 */

import type { Marker, Segment, Span, Trace } from "../api_types";
import { KINDS, OUTCOMES, SEGMENT_KINDS, STATUSES, Words } from "./timeline_words";

export const OPEN = Number.POSITIVE_INFINITY;
export const NONE = -1;
export const RUN = 0;
export const RUN_ID = "run";

export class SpanTable {
  readonly runId: string;
  readonly at: string;
  /** The instant of 0 ms, in microseconds since 1970: a run of today fits a double exactly. */
  readonly createdUs: number;
  inheritedGapMs = 0;
  /** The last event that is in here. */
  seq = 0;
  count = 0;
  segmentCount = 0;
  /** The first and last instant of anything in here. */
  firstMs = 0;
  lastMs = 0;
  markers: Marker[] = [];
  /** Grows with every change, so that whoever derives from the table knows when to derive anew. */
  version = 0;

  readonly kinds = new Words(KINDS);
  readonly statuses = new Words(STATUSES);
  readonly names = new Words();
  readonly segmentKinds = new Words(SEGMENT_KINDS);
  readonly outcomes = new Words(OUTCOMES);

  kind = new Uint8Array(0);
  status = new Uint8Array(0);
  name = new Int32Array(0);
  correlation = new Int32Array(0);
  beginSeq = new Int32Array(0);
  endSeq = new Int32Array(0);
  startMs = new Float64Array(0);
  endMs = new Float64Array(0);
  attempts = new Int32Array(0);
  isInherited = new Uint8Array(0);
  firstSegment = new Int32Array(0);
  lastSegment = new Int32Array(0);

  segmentKind = new Uint8Array(0);
  segmentStartMs = new Float64Array(0);
  segmentEndMs = new Float64Array(0);
  segmentAttempt = new Int32Array(0);
  segmentOutcome = new Uint8Array(0);
  nextSegment = new Int32Array(0);

  readonly dueAtUs = new Map<number, number>();
  readonly childRunIds = new Map<number, string>();
  readonly errorTypes = new Map<number, string>();
  readonly errorCodes = new Map<number, string>();
  private readonly spanOfCall = new Map<number, number>();

  constructor(runId: string, at: string) {
    this.runId = runId;
    this.at = at;
    this.createdUs = parseInstantUs(at);
  }

  /** The end of a span, or where it has come to by now. */
  reachMs(span: number, nowMs: number): number {
    const endMs = this.endMs[span]!;
    return endMs === OPEN ? Math.max(nowMs, this.startMs[span]!) : endMs;
  }

  kindOf(span: number): string {
    return this.kinds.decode(this.kind[span]!);
  }

  statusOf(span: number): string {
    return this.statuses.decode(this.status[span]!);
  }

  nameOf(span: number): string {
    return this.names.decode(this.name[span]!);
  }

  idOf(span: number): string {
    return span === RUN ? RUN_ID : String(this.correlation[span]!);
  }

  /** The row of a call by its correlation id, or `NONE`. */
  findCall(correlationId: number): number {
    return this.spanOfCall.get(correlationId) ?? NONE;
  }

  /** The row of a span by its id, or `NONE`. */
  findId(id: string): number {
    if (id === RUN_ID) return this.count > 0 ? RUN : NONE;
    return this.findCall(Number(id));
  }

  get isEnded(): boolean {
    return this.count > 0 && this.endMs[RUN] !== OPEN;
  }

  addSpan(kind: string, name: string, status: string, correlationId: number, seq: number, startMs: number): number {
    if (this.count === this.kind.length) this.growSpans(this.count + 1);
    const span = this.count++;
    this.kind[span] = this.kinds.encode(kind);
    this.status[span] = this.statuses.encode(status);
    this.name[span] = this.names.encode(name);
    this.correlation[span] = correlationId;
    this.beginSeq[span] = seq;
    this.endSeq[span] = NONE;
    this.startMs[span] = startMs;
    this.endMs[span] = OPEN;
    this.firstSegment[span] = NONE;
    this.lastSegment[span] = NONE;
    if (span !== RUN) this.spanOfCall.set(correlationId, span);
    this.firstMs = Math.min(this.firstMs, startMs);
    this.noteInstant(startMs);
    this.version++;
    return span;
  }

  addSegment(span: number, kind: string, startMs: number, attempt: number): number {
    if (this.segmentCount === this.segmentKind.length) this.growSegments(this.segmentCount + 1);
    const segment = this.segmentCount++;
    this.segmentKind[segment] = this.segmentKinds.encode(kind);
    this.segmentStartMs[segment] = startMs;
    this.segmentEndMs[segment] = OPEN;
    this.segmentAttempt[segment] = attempt;
    this.nextSegment[segment] = NONE;
    const last = this.lastSegment[span]!;
    if (last === NONE) this.firstSegment[span] = segment;
    else this.nextSegment[last] = segment;
    this.lastSegment[span] = segment;
    if (kind === "running") this.attempts[span]!++;
    this.version++;
    return segment;
  }

  /** Drop a span's last segment, which turned out to have no length. Its place stays unused. */
  dropLastSegment(span: number): void {
    const last = this.lastSegment[span]!;
    let before = NONE;
    for (let at = this.firstSegment[span]!; at !== last; at = this.nextSegment[at]!) before = at;
    this.lastSegment[span] = before;
    if (before === NONE) this.firstSegment[span] = NONE;
    else this.nextSegment[before] = NONE;
    this.version++;
  }

  noteInstant(ms: number): void {
    if (ms > this.lastMs) this.lastMs = ms;
  }

  setStatus(span: number, status: string): void {
    this.status[span] = this.statuses.encode(status);
    this.version++;
  }

  /** Make room for a number of spans and segments, so that reading a long trace copies nothing. */
  reserve(spans: number, segments: number): void {
    if (spans > this.kind.length) this.growSpans(spans);
    if (segments > this.segmentKind.length) this.growSegments(segments);
  }

  private growSpans(needed: number): void {
    const size = Math.max(64, needed, this.kind.length * 2);
    this.kind = grow(this.kind, size);
    this.status = grow(this.status, size);
    this.name = grow(this.name, size);
    this.correlation = grow(this.correlation, size);
    this.beginSeq = grow(this.beginSeq, size);
    this.endSeq = grow(this.endSeq, size);
    this.startMs = grow(this.startMs, size);
    this.endMs = grow(this.endMs, size);
    this.attempts = grow(this.attempts, size);
    this.isInherited = grow(this.isInherited, size);
    this.firstSegment = grow(this.firstSegment, size);
    this.lastSegment = grow(this.lastSegment, size);
  }

  private growSegments(needed: number): void {
    const size = Math.max(64, needed, this.segmentKind.length * 2);
    this.segmentKind = grow(this.segmentKind, size);
    this.segmentStartMs = grow(this.segmentStartMs, size);
    this.segmentEndMs = grow(this.segmentEndMs, size);
    this.segmentAttempt = grow(this.segmentAttempt, size);
    this.segmentOutcome = grow(this.segmentOutcome, size);
    this.nextSegment = grow(this.nextSegment, size);
  }
}

type Column = Uint8Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

function grow<T extends Column>(column: T, size: number): T {
  const grown = new (column.constructor as new (size: number) => T)(size);
  grown.set(column as never);
  return grown;
}

/** Read a server's trace into columns. */
export function readTrace(trace: Trace): SpanTable {
  const table = new SpanTable(trace.run_id, trace.at);
  let segments = 0;
  for (const span of trace.spans) segments += span.segments.length;
  table.reserve(trace.spans.length, segments);
  for (const span of trace.spans) readSpan(table, span);
  table.seq = trace.seq;
  table.inheritedGapMs = trace.inherited_gap_ms;
  table.markers = [...trace.markers];
  return table;
}

function readSpan(table: SpanTable, source: Span): void {
  const span = table.addSpan(
    source.kind,
    source.name,
    source.status,
    source.correlation_id ?? NONE,
    source.seq,
    source.start_ms,
  );
  table.endSeq[span] = source.end_seq ?? NONE;
  table.endMs[span] = source.end_ms ?? OPEN;
  table.noteInstant(source.end_ms ?? source.start_ms);
  table.isInherited[span] = source.is_inherited ? 1 : 0;
  for (const part of source.segments) {
    const segment = table.addSegment(span, part.kind, part.start_ms, part.attempt ?? NONE);
    table.segmentEndMs[segment] = part.end_ms ?? OPEN;
    table.segmentOutcome[segment] = table.outcomes.encode(part.outcome ?? "");
  }
  table.attempts[span] = source.attempts;
  if (source.due_at !== null) table.dueAtUs.set(span, parseInstantUs(source.due_at));
  if (source.child_run_id !== null) table.childRunIds.set(span, source.child_run_id);
  if (source.error_type !== null) table.errorTypes.set(span, source.error_type);
  if (source.error_code !== null) table.errorCodes.set(span, source.error_code);
}

/** Give a span as the server would, for details, tables and exports. */
export function showSpan(table: SpanTable, span: number): Span {
  const endMs = table.endMs[span]!;
  const correlation = table.correlation[span]!;
  const due = table.dueAtUs.get(span);
  return {
    id: table.idOf(span),
    kind: table.kindOf(span) as Span["kind"],
    name: table.nameOf(span),
    status: table.statusOf(span),
    parent_id: span === RUN ? null : RUN_ID,
    correlation_id: correlation === NONE ? null : correlation,
    seq: table.beginSeq[span]!,
    end_seq: table.endSeq[span] === NONE ? null : table.endSeq[span]!,
    at: showInstantAtMs(table, table.startMs[span]!, span !== RUN),
    ended_at: endMs === OPEN ? null : showInstantAtMs(table, endMs, true),
    start_ms: table.startMs[span]!,
    end_ms: endMs === OPEN ? null : endMs,
    segments: [...segmentsOf(table, span)].map((segment) => showSegment(table, segment)),
    attempts: span === RUN ? 0 : table.attempts[span]!,
    is_inherited: table.isInherited[span] === 1,
    due_at: due === undefined ? null : showInstantUs(due),
    child_run_id: table.childRunIds.get(span) ?? null,
    error_type: table.errorTypes.get(span) ?? null,
    error_code: table.errorCodes.get(span) ?? null,
  };
}

export function* segmentsOf(table: SpanTable, span: number): Generator<number> {
  for (let segment = table.firstSegment[span]!; segment !== NONE; segment = table.nextSegment[segment]!) yield segment;
}

function showSegment(table: SpanTable, segment: number): Segment {
  const endMs = table.segmentEndMs[segment]!;
  const attempt = table.segmentAttempt[segment]!;
  return {
    kind: table.segmentKinds.decode(table.segmentKind[segment]!) as Segment["kind"],
    start_ms: table.segmentStartMs[segment]!,
    end_ms: endMs === OPEN ? null : endMs,
    attempt: attempt === NONE ? null : attempt,
    outcome: table.outcomes.decode(table.segmentOutcome[segment]!) || null,
  };
}

/** Give the whole as the server would. */
export function showTrace(table: SpanTable): Trace {
  const spans: Span[] = [];
  for (let span = 0; span < table.count; span++) spans.push(showSpan(table, span));
  return {
    run_id: table.runId,
    workflow: table.nameOf(RUN),
    status: table.statusOf(RUN),
    seq: table.seq,
    at: table.at,
    end_ms: spans[RUN]!.end_ms,
    inherited_gap_ms: table.inheritedGapMs,
    spans,
    markers: [...table.markers].sort((left, right) => left.at_ms - right.at_ms),
  };
}

/** Read `2026-01-02T03:04:05.000006Z` as microseconds since 1970. `Date` alone would lose the microseconds. */
export function parseInstantUs(text: string): number {
  const seconds = Date.parse(`${text.slice(0, 19)}Z`);
  const fraction = text.slice(20).replace(/\D.*$/, "");
  return seconds * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

export function showInstantUs(us: number): string {
  const seconds = Math.floor(us / 1_000_000);
  const micros = String(us - seconds * 1_000_000).padStart(6, "0");
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${micros}Z`;
}

/** The instant of a place on the axis. What a fork inherited lies where it was drawn; its instant is the true one. */
export function showInstantAtMs(table: SpanTable, ms: number, isCall: boolean): string {
  const gapMs = isCall && table.inheritedGapMs > 0 && ms <= 0 ? table.inheritedGapMs : 0;
  return showInstantUs(table.createdUs + Math.round((ms - gapMs) * 1000));
}

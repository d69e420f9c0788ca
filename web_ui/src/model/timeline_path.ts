/**
 * The critical path: the calls without which the run would have ended earlier, from its end back to its start.
 *
 * Exact, not guessed from overlaps: a body is handed one delivery at a time and runs until it blocks, so the calls
 * that follow a delivery in the log were made because of it (docs/event-log.md §4). The cause of a call, and of the
 * run's end, is the last delivery before it: the end of a step, a sleep or a child, or a hook's payload. The one
 * delivery without an event in a trace is a lock that was granted; it is found by its instant.
 */

import { NONE, RUN, type SpanTable, segmentsOf } from "./timeline_spans";

export interface CriticalPath {
  /** From the first call to the last. */
  readonly spans: readonly number[];
  readonly has: Uint8Array;
}

export function findCriticalPath(table: SpanTable): CriticalPath {
  const has = new Uint8Array(table.count);
  const spans: number[] = [];
  if (table.count === 0) return { spans, has };
  const deliveries = collectDeliveries(table);
  const ended = table.endSeq[RUN]!;
  let beforeSeq = ended === NONE ? table.seq + 1 : ended;
  let atMs = ended === NONE ? Number.POSITIVE_INFINITY : table.endMs[RUN]!;
  for (;;) {
    const span = deliveries.findCause(beforeSeq, atMs);
    // A cause begins before its effect: the log is walked backwards, and ends.
    if (span === NONE || has[span] === 1 || table.beginSeq[span]! >= beforeSeq) break;
    has[span] = 1;
    spans.push(span);
    beforeSeq = table.beginSeq[span]!;
    atMs = table.startMs[span]!;
  }
  spans.reverse();
  return { spans, has };
}

class Deliveries {
  constructor(
    private readonly seqs: Int32Array,
    private readonly spans: Int32Array,
    private readonly atMs: Float64Array,
    private readonly grants: readonly { atMs: number; seq: number; span: number }[],
  ) {}

  /** The span whose end, payload or grant was delivered last before an event. */
  findCause(beforeSeq: number, beforeMs: number): number {
    let low = 0;
    let high = this.seqs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.seqs[middle]! < beforeSeq) low = middle + 1;
      else high = middle;
    }
    const found = low - 1;
    const foundMs = found >= 0 ? this.atMs[found]! : Number.NEGATIVE_INFINITY;
    let cause = found >= 0 ? this.spans[found]! : NONE;
    let latestMs = foundMs;
    for (let at = this.countGrants(beforeMs) - 1; at >= 0 && this.grants[at]!.atMs > latestMs; at--) {
      if (this.grants[at]!.seq >= beforeSeq) continue;
      latestMs = this.grants[at]!.atMs;
      cause = this.grants[at]!.span;
    }
    return cause;
  }

  /** How many locks were granted until an instant. */
  private countGrants(untilMs: number): number {
    let low = 0;
    let high = this.grants.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.grants[middle]!.atMs <= untilMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function collectDeliveries(table: SpanTable): Deliveries {
  const found: { seq: number; span: number; atMs: number }[] = [];
  const grants: { atMs: number; seq: number; span: number }[] = [];
  for (let span = 1; span < table.count; span++) {
    const kind = table.kindOf(span);
    const seq = table.endSeq[span]!;
    // What a body ends itself, by disposing or releasing, is a call.
    const isDelivered = kind === "hook" ? table.statusOf(span) === "conflict" : kind !== "lock";
    if (seq !== NONE && isDelivered) found.push({ seq, span, atMs: table.endMs[span]! });
    if (kind !== "lock") continue;
    for (const segment of segmentsOf(table, span)) {
      const isGrant = table.segmentKinds.decode(table.segmentKind[segment]!) === "held";
      if (isGrant) grants.push({ atMs: table.segmentStartMs[segment]!, seq: table.beginSeq[span]!, span });
    }
  }
  for (const marker of table.markers) {
    if (marker.kind !== "payload" || marker.seq === null) continue;
    const span = table.findId(marker.span_id);
    if (span !== NONE) found.push({ seq: marker.seq, span, atMs: marker.at_ms });
  }
  found.sort((left, right) => left.seq - right.seq);
  grants.sort((left, right) => left.atMs - right.atMs);
  return new Deliveries(
    Int32Array.from(found, (delivery) => delivery.seq),
    Int32Array.from(found, (delivery) => delivery.span),
    Float64Array.from(found, (delivery) => delivery.atMs),
    grants,
  );
}

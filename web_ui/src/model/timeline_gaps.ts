/**
 * Idle gaps: stretches in which a run only waited, and nothing began or ended.
 *
 * A run that waits seven days for an approval has its steps in the first and the last second. Drawn to scale
 * they are two hairlines. So long gaps are pressed together (`TimeScale`), if that shows more of what was done.
 *
 * 1. Nothing that happened lies within a gap: its ends are the beginnings and ends of segments, and markers.
 * 2. `Idleness` reads a table once, and then hears what is added.
 */

import { type Gap, PLAIN, TimeScale } from "./timeline_scale";
import { OPEN, RUN, type SpanTable } from "./timeline_spans";

/** Below this nobody is helped by a break in the axis. */
const SHORTEST_GAP_MS = 20;
/** How much longer than an average stretch of work a gap has to be. */
const TIMES_WORK = 5;
/** A gap's share of the axis: this, or less when there are many, so that work keeps most of it. */
const GAP_SHARE = 0.04;
const ALL_GAPS_SHARE = 0.3;
/** All gaps together are a third of the axis: this share of a third is less than a pixel. */
const HAIR = 1 / 500;

/** Finds where at least `SHORTEST_GAP_MS` passed with nothing but waits. */
export class Idleness {
  /** Gaps that are final: something came after them. */
  readonly gaps: Gap[] = [];
  private frontierMs = 0;
  private active = 0;

  /** `isBusy` says of a span whether its waiting counts as work: that of a child whose own spans nobody sees. */
  constructor(table: SpanTable, isBusy: (span: number) => boolean) {
    const { startMs, endMs, delta } = collectEdges(table, isBusy);
    this.frontierMs = table.count > 0 ? Math.min(startMs, 0) : 0;
    for (let at = 0; at < endMs.length; at++) this.step(endMs[at]!, delta[at]!);
  }

  /**
   * Note that something happened, and whether more (+1) or less (−1) is under way from then on.
   *
   * Usually in order. What is known only afterwards changes gaps that were final: that a step had been queued since
   * its time came (all since then was work), or that a wait was given up (an instant within a gap).
   */
  step(atMs: number, delta: number): void {
    if (atMs < this.frontierMs) this.revise(atMs, delta > 0);
    else if (this.active <= 0 && atMs - this.frontierMs >= SHORTEST_GAP_MS) {
      this.gaps.push({ startMs: this.frontierMs, endMs: atMs });
    }
    this.frontierMs = Math.max(this.frontierMs, atMs);
    this.active += delta;
  }

  private revise(atMs: number, isWorkSince: boolean): void {
    const later: Gap[] = [];
    while (this.gaps.length > 0 && this.gaps[this.gaps.length - 1]!.endMs > atMs) later.push(this.gaps.pop()!);
    for (const gap of later.reverse()) {
      this.keep(gap.startMs, Math.min(gap.endMs, atMs));
      if (!isWorkSince) this.keep(Math.max(gap.startMs, atMs), gap.endMs);
    }
  }

  private keep(startMs: number, endMs: number): void {
    if (endMs - startMs >= SHORTEST_GAP_MS) this.gaps.push({ startMs, endMs });
  }

  /** Whether a gap still grows: nothing but waits is under way. */
  isWaiting(nowMs: number): boolean {
    return this.active <= 0 && nowMs - this.frontierMs >= SHORTEST_GAP_MS;
  }

  /** The gaps until now: a run that waits has one that still grows. */
  until(nowMs: number): Gap[] {
    return this.isWaiting(nowMs) ? [...this.gaps, { startMs: this.frontierMs, endMs: nowMs }] : this.gaps;
  }
}

interface Edges {
  startMs: number;
  endMs: Float64Array;
  delta: Int8Array;
}

function collectEdges(table: SpanTable, isBusy: (span: number) => boolean): Edges {
  const running = table.segmentKinds.encode("running");
  const queued = table.segmentKinds.encode("queued");
  const most = table.segmentCount * 2 + table.markers.length + table.count * 2;
  const begins = new Float64Array(most);
  const ends = new Float64Array(most);
  let beginCount = 0;
  let endCount = 0;
  let startMs = 0;
  const instants: number[] = [];
  for (let span = 0; span < table.count; span++) {
    startMs = Math.min(startMs, table.startMs[span]!);
    const isBusySpan = span !== RUN && isBusy(span);
    for (let segment = table.firstSegment[span]!; segment >= 0; segment = table.nextSegment[segment]!) {
      const kind = table.segmentKind[segment]!;
      const from = table.segmentStartMs[segment]!;
      const to = table.segmentEndMs[segment]!;
      // The run's own `running` is all of its life, and says nothing about work.
      const isWork = span === RUN ? kind === queued : kind === running || kind === queued || isBusySpan;
      if (isWork) {
        begins[beginCount++] = from;
        if (to !== OPEN) ends[endCount++] = to;
      } else {
        instants.push(from);
        if (to !== OPEN) instants.push(to);
      }
    }
  }
  for (const marker of table.markers) instants.push(marker.at_ms);
  return mergeEdges(startMs, begins.subarray(0, beginCount).sort(), ends.subarray(0, endCount).sort(), instants);
}

/** Put beginnings, ends and instants in one order; at one instant beginnings first, so that work that touches is one. */
function mergeEdges(startMs: number, begins: Float64Array, ends: Float64Array, instants: number[]): Edges {
  const sorted = Float64Array.from(instants).sort();
  const total = begins.length + ends.length + sorted.length;
  const endMs = new Float64Array(total);
  const delta = new Int8Array(total);
  let begin = 0;
  let end = 0;
  let instant = 0;
  for (let at = 0; at < total; at++) {
    const nextBegin = begin < begins.length ? begins[begin]! : OPEN;
    const nextEnd = end < ends.length ? ends[end]! : OPEN;
    const nextInstant = instant < sorted.length ? sorted[instant]! : OPEN;
    if (nextBegin <= nextEnd && nextBegin <= nextInstant) {
      endMs[at] = nextBegin;
      delta[at] = 1;
      begin++;
    } else if (nextInstant <= nextEnd) {
      endMs[at] = nextInstant;
      instant++;
    } else {
      endMs[at] = nextEnd;
      delta[at] = -1;
      end++;
    }
  }
  return { startMs, endMs, delta };
}

/** What is idle in all of several runs at once. Each list is in order; `shiftMs` moves a run to its place. */
export function intersectGaps(lists: readonly { gaps: readonly Gap[]; shiftMs: number }[]): Gap[] {
  const [first, ...others] = lists;
  if (first === undefined) return [];
  return others.reduce<Gap[]>(
    (kept, other) => intersectTwo(kept, other.gaps, other.shiftMs),
    first.gaps.map((gap) => ({ startMs: gap.startMs + first.shiftMs, endMs: gap.endMs + first.shiftMs })),
  );
}

function intersectTwo(left: readonly Gap[], right: readonly Gap[], shiftMs: number): Gap[] {
  const found: Gap[] = [];
  let at = 0;
  for (const gap of left) {
    while (at < right.length && right[at]!.endMs + shiftMs <= gap.startMs) at++;
    for (let other = at; other < right.length && right[other]!.startMs + shiftMs < gap.endMs; other++) {
      const startMs = Math.max(gap.startMs, right[other]!.startMs + shiftMs);
      const endMs = Math.min(gap.endMs, right[other]!.endMs + shiftMs);
      if (endMs - startMs >= SHORTEST_GAP_MS) found.push({ startMs, endMs });
    }
  }
  return found;
}

/**
 * Choose the gaps that are worth pressing together, and how wide they become.
 *
 * `before` is the scale of a run that grows as it was a moment ago: it stays where it differs by less than a hair, so
 * that what was painted by it is still true.
 */
export function makeScale(
  gaps: readonly Gap[],
  startMs: number,
  endMs: number,
  before: TimeScale | null = null,
): TimeScale {
  if (gaps.length === 0) return PLAIN;
  let idleMs = 0;
  for (const gap of gaps) idleMs += gap.endMs - gap.startMs;
  const workMs = Math.max(0, endMs - startMs - idleMs);
  const shortest = Math.max(SHORTEST_GAP_MS, (TIMES_WORK * workMs) / (gaps.length + 1));
  const chosen = gaps.filter((gap) => gap.endMs - gap.startMs >= shortest);
  let savedMs = 0;
  for (const gap of chosen) savedMs += gap.endMs - gap.startMs;
  const keptMs = endMs - startMs - savedMs;
  // Nothing else to see, or the axis would be hardly longer: leave time as it was.
  if (chosen.length === 0 || keptMs <= 0 || savedMs < 0.3 * (endMs - startMs)) return PLAIN;
  const gapFolded = keptMs * Math.min(GAP_SHARE, ALL_GAPS_SHARE / chosen.length);
  if (before !== null && isNear(before, chosen, gapFolded)) return before;
  return new TimeScale(chosen, gapFolded);
}

function isNear(scale: TimeScale, gaps: readonly Gap[], gapFolded: number): boolean {
  if (scale.gaps.length !== gaps.length || Math.abs(scale.gapFolded - gapFolded) > HAIR * gapFolded) return false;
  return gaps.every((gap, at) => gap.startMs === scale.gaps[at]!.startMs && gap.endMs === scale.gaps[at]!.endMs);
}

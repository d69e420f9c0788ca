/**
 * Lanes: calls of one name side by side, as few lanes as it takes.
 *
 * 1. In a lane no two spans overlap, and they are in order of time: whatever looks for a span there bisects.
 * 2. A span keeps its lane while the run goes on. It takes the first lane that is free at its start; what is free
 *    then is known by then, so following a run and reading it afterwards give the same picture.
 * 3. A lane knows how much time and how many failures lie before each of its spans, so that a pixel which stands
 *    for ten thousand spans costs no more than one that stands for two.
 */

import { OPEN, type SpanTable } from "./timeline_spans";
import { isFailureCode } from "./timeline_words";

export class Lane {
  spans: number[] = [];
  /** Of all spans before the one at the same place: how long they took, and how many failed. */
  private readonly msBefore: number[] = [];
  private readonly failedBefore: number[] = [];

  /** `group` is its group's number, `at` its own in it. */
  constructor(
    readonly group: number,
    readonly at: number,
  ) {}

  get last(): number {
    return this.spans[this.spans.length - 1]!;
  }

  push(table: SpanTable, span: number): void {
    const at = this.spans.length;
    if (at === 0) {
      this.msBefore.push(0);
      this.failedBefore.push(0);
    } else {
      const last = this.last;
      this.msBefore.push(this.msBefore[at - 1]! + table.endMs[last]! - table.startMs[last]!);
      this.failedBefore.push(this.failedBefore[at - 1]! + (isFailureCode(table.status[last]!) ? 1 : 0));
    }
    this.spans.push(span);
  }

  /** How long the spans from one place to before another took together. */
  busyMs(table: SpanTable, from: number, to: number, nowMs: number): number {
    if (to <= from) return 0;
    const last = this.spans[to - 1]!;
    return this.msBefore[to - 1]! - this.msBefore[from]! + table.reachMs(last, nowMs) - table.startMs[last]!;
  }

  failures(table: SpanTable, from: number, to: number): number {
    if (to <= from) return 0;
    const isLastFailed = isFailureCode(table.status[this.spans[to - 1]!]!);
    return this.failedBefore[to - 1]! - this.failedBefore[from]! + (isLastFailed ? 1 : 0);
  }

  /** The place of the first span that ends after an instant. */
  findAfter(table: SpanTable, ms: number, from = 0): number {
    let low = from;
    let high = this.spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (table.endMs[this.spans[middle]!]! > ms) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /**
   * The place of the first span, from one on, that starts at an instant or after it.
   *
   * In ever longer strides, then by bisecting: it is near, and what is near in a lane is near in memory.
   */
  findStart(table: SpanTable, ms: number, from: number): number {
    const { spans } = this;
    let low = from;
    let stride = 1;
    while (low < spans.length && table.startMs[spans[low]!]! < ms) {
      const next = low + stride;
      if (next >= spans.length || table.startMs[spans[next]!]! >= ms) {
        return this.bisectStart(table, ms, low + 1, Math.min(next, spans.length));
      }
      low = next;
      stride *= 2;
    }
    return low;
  }

  private bisectStart(table: SpanTable, ms: number, from: number, to: number): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (table.startMs[this.spans[middle]!]! >= ms) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** All calls of one kind and name. */
export interface Group {
  readonly kind: string;
  readonly name: string;
  readonly lanes: Lane[];
  count: number;
}

/** Packs a table's calls into lanes, and goes on where it was when the table has grown. */
export class Packing {
  readonly groups: Group[] = [];
  laneOfSpan: Lane[] = [];
  private readonly slots: Slots[] = [];
  private readonly groupOfWord = new Map<number, number>();
  private packed = 0;

  constructor(
    private readonly table: SpanTable,
    /** Put all calls of a trace into one group: for formats that know only threads. */
    private readonly isOneGroup = false,
  ) {}

  /** Pack the spans that are new. */
  extend(): void {
    if (this.packed === this.table.count) return;
    this.slots.forEach((slots, group) => {
      slots.settleOpen(this.table, this.groups[group]!.lanes);
    });
    for (; this.packed < this.table.count; this.packed++) this.place(this.packed);
  }

  private place(span: number): void {
    const { table } = this;
    const word = this.isOneGroup ? 0 : table.name[span]! * 256 + table.kind[span]!;
    let number = this.groupOfWord.get(word);
    if (number === undefined) {
      number = this.groups.length;
      this.groupOfWord.set(word, number);
      this.groups.push({ kind: table.kindOf(span), name: table.nameOf(span), lanes: [], count: 0 });
      this.slots.push(new Slots());
    }
    const group = this.groups[number]!;
    const slots = this.slots[number]!;
    const free = slots.take(table, group.lanes, table.startMs[span]!);
    const at = free === -1 ? group.lanes.push(new Lane(number, group.lanes.length)) - 1 : free;
    const lane = group.lanes[at]!;
    lane.push(table, span);
    slots.occupy(at, table.endMs[span]!);
    group.count++;
    this.laneOfSpan[span] = lane;
  }
}

/** Which lanes of a group are free: those that are, by number, and those that will be, by time. */
class Slots {
  private readonly free = new Heap();
  private readonly busy = new Heap();
  private open: number[] = [];

  take(table: SpanTable, lanes: readonly Lane[], startMs: number): number {
    while (this.busy.size > 0 && this.busy.key <= startMs) this.free.push(0, this.busy.pop());
    // Instants of a log never decrease; where another program's do, a lane may have been freed too early.
    if (this.free.size === 0) return -1;
    const lane = this.free.pop();
    if (table.endMs[lanes[lane]!.last]! <= startMs) return lane;
    this.busy.push(table.endMs[lanes[lane]!.last]!, lane);
    return -1;
  }

  occupy(lane: number, endMs: number): void {
    if (endMs === OPEN) this.open.push(lane);
    else this.busy.push(endMs, lane);
  }

  /** Spans that were open when they got their lane may have ended since. Once for all spans that are new. */
  settleOpen(table: SpanTable, lanes: readonly Lane[]): void {
    if (this.open.length === 0) return;
    const still: number[] = [];
    for (const lane of this.open) {
      const endMs = table.endMs[lanes[lane]!.last]!;
      if (endMs === OPEN) still.push(lane);
      else this.busy.push(endMs, lane);
    }
    this.open = still;
  }
}

/** A binary heap of numbered things: the smallest key first, at equal keys the smallest number. */
class Heap {
  private readonly keys: number[] = [];
  private readonly values: number[] = [];

  get size(): number {
    return this.keys.length;
  }

  get key(): number {
    return this.keys[0]!;
  }

  push(key: number, value: number): void {
    let at = this.keys.length;
    this.keys.push(key);
    this.values.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  pop(): number {
    const first = this.values[0]!;
    const lastKey = this.keys.pop()!;
    const lastValue = this.values.pop()!;
    if (this.keys.length > 0) {
      this.keys[0] = lastKey;
      this.values[0] = lastValue;
      this.sink();
    }
    return first;
  }

  private sink(): void {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [at * 2 + 1, at * 2 + 2]) {
        if (child < this.keys.length && this.isBefore(child, least)) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private isBefore(left: number, right: number): boolean {
    const order = this.keys[left]! - this.keys[right]!;
    return order < 0 || (order === 0 && this.values[left]! < this.values[right]!);
  }

  private swap(left: number, right: number): void {
    const key = this.keys[left]!;
    this.keys[left] = this.keys[right]!;
    this.keys[right] = key;
    const value = this.values[left]!;
    this.values[left] = this.values[right]!;
    this.values[right] = value;
  }
}

/**
 * The scene: which runs are shown, and which rows they have.
 *
 * 1. A scene is a tree of tracks: the run, and below the calls that started them the child runs that were opened.
 *    All times of a scene are of the outermost run (`Ms`); a track's own are shifted by `shiftMs`.
 * 2. Rows are blocks: stretches of consecutive spans (`calls`), or of lanes (`names`). What lies in a row is found by
 *    bisecting the blocks, so a hundred thousand rows cost what the few that are seen cost.
 */

import { Idleness, intersectGaps, makeScale } from "./timeline_gaps";
import { type Lane, Packing } from "./timeline_lanes";
import { Marks } from "./timeline_marks";
import { type Gap, PLAIN, type TimeScale } from "./timeline_scale";
import { NONE, OPEN, RUN, type SpanTable } from "./timeline_spans";

/** `calls`: a row for each call, in order. `names`: calls of one name share lanes. */
export type Arrangement = "calls" | "names";

export interface Track {
  readonly table: SpanTable;
  readonly packing: Packing;
  readonly marks: Marks;
  readonly shiftMs: number;
  readonly depth: number;
  readonly parent: Track | null;
  /** The call that started this run, in the parent's table. */
  readonly parentSpan: number;
  readonly children: Map<number, Track>;
  idleness: Idleness;
}

/** A span, wherever it is. */
export interface SpanAt {
  readonly track: Track;
  readonly span: number;
}

interface Block {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly track: Track;
  /** Consecutive spans from this one on; or `NONE`, and the rows are `lanes`. */
  readonly firstSpan: number;
  readonly lanes: readonly Lane[];
}

export type Row =
  | { readonly kind: "span"; readonly track: Track; readonly span: number }
  | { readonly kind: "lane"; readonly track: Track; readonly lane: Lane };

export class Scene {
  readonly root: Track;
  arrangement: Arrangement = "calls";
  isFolding = true;
  scale: TimeScale = PLAIN;
  private blocks: Block[] = [];
  /** A track's blocks in order: of `names`, one a group. */
  private readonly blocksOf = new Map<Track, Block[]>();
  private rows = 0;
  private arranged = "";

  constructor(table: SpanTable) {
    this.root = makeTrack(table, null, NONE);
  }

  get rowCount(): number {
    return this.rows;
  }

  /** Where the picture begins: a fork's inherited calls, and those of a machine whose clock is late, come before the run. */
  get startMs(): number {
    return this.root.table.firstMs;
  }

  /** Where the picture ends: late results may come after the run's end. */
  endMs(nowMs: number): number {
    let endMs = 0.001;
    for (const track of this.tracks()) {
      const { table } = track;
      const reachMs = table.count > 0 ? table.reachMs(RUN, nowMs - track.shiftMs) : 0;
      endMs = Math.max(endMs, Math.max(reachMs, table.lastMs) + track.shiftMs);
    }
    return endMs;
  }

  *tracks(track: Track = this.root): Generator<Track> {
    yield track;
    for (const child of track.children.values()) yield* this.tracks(child);
  }

  /** Show a child run below the call that started it. */
  open(track: Track, span: number, table: SpanTable): Track {
    const child = makeTrack(table, track, span);
    track.children.set(span, child);
    this.readIdleness(track);
    this.arranged = "";
    return child;
  }

  /** Note that a segment of a followed run begins (+1) or ends (−1), or that there is a marker (0). */
  noteEdge(track: Track, span: number, segmentKind: string, atMs: number, delta: 1 | 0 | -1): void {
    const isWork = segmentKind === "running" || segmentKind === "queued";
    const counts = span === RUN ? segmentKind === "queued" : isWork || isUnseenChild(track.table, track.children, span);
    track.idleness.step(atMs, counts ? delta : 0);
  }

  close(track: Track, span: number): void {
    track.children.delete(span);
    this.readIdleness(track);
    this.arranged = "";
  }

  private readIdleness(track: Track): void {
    track.idleness = new Idleness(track.table, (span) => isUnseenChild(track.table, track.children, span));
  }

  /** Bring rows up to date with tables and choices. Cheap when nothing has changed. */
  arrange(): void {
    const state = [...this.tracks()].map((track) => track.table.count).join();
    const arranged = `${this.arrangement} ${state}`;
    if (arranged === this.arranged) return;
    this.arranged = arranged;
    this.blocks = [];
    this.blocksOf.clear();
    this.rows = 0;
    if (this.arrangement === "calls") this.arrangeCalls(this.root);
    else this.arrangeNames(this.root);
  }

  private arrangeCalls(track: Track): void {
    let first = track.parent === null ? RUN : RUN + 1; // a child's own row is the call that started it
    for (const span of [...track.children.keys()].sort((left, right) => left - right)) {
      this.addBlock(track, span + 1 - first, first, []);
      this.arrangeCalls(track.children.get(span)!);
      first = span + 1;
    }
    this.addBlock(track, track.table.count - first, first, []);
  }

  private arrangeNames(track: Track): void {
    track.packing.extend();
    for (const group of track.packing.groups) this.addBlock(track, group.lanes.length, NONE, group.lanes);
    for (const child of track.children.values()) this.arrangeNames(child);
  }

  private addBlock(track: Track, rowCount: number, firstSpan: number, lanes: readonly Lane[]): void {
    if (rowCount <= 0) return;
    const block: Block = { firstRow: this.rows, rowCount, track, firstSpan, lanes };
    this.blocks.push(block);
    const known = this.blocksOf.get(track);
    if (known === undefined) this.blocksOf.set(track, [block]);
    else known.push(block);
    this.rows += rowCount;
  }

  rowAt(row: number): Row | null {
    const block = this.blockAt(row);
    if (block === null) return null;
    const at = row - block.firstRow;
    if (block.firstSpan !== NONE) return { kind: "span", track: block.track, span: block.firstSpan + at };
    return { kind: "lane", track: block.track, lane: block.lanes[at]! };
  }

  private blockAt(row: number): Block | null {
    if (row < 0 || row >= this.rows) return null;
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.blocks[middle]!.firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return this.blocks[low] ?? null;
  }

  /** The row of a span, or `NONE` where it is in none. */
  rowOf({ track, span }: SpanAt): number {
    const blocks = this.blocksOf.get(track);
    if (blocks === undefined) return NONE;
    if (this.arrangement === "names") {
      const lane = track.packing.laneOfSpan[span];
      return lane === undefined ? NONE : blocks[lane.group]!.firstRow + lane.at;
    }
    for (const block of blocks) {
      if (span < block.firstSpan) return NONE;
      if (span < block.firstSpan + block.rowCount) return block.firstRow + span - block.firstSpan;
    }
    return NONE;
  }

  /** Choose anew which gaps are pressed together. While a run grows, a scale that is nearly the same stays. */
  rescale(nowMs: number, isGrowing = false): void {
    if (!this.isFolding) {
      this.scale = PLAIN;
      return;
    }
    const lists = [...this.tracks()].map((track) => {
      const gaps = track.idleness.until(nowMs - track.shiftMs);
      return { gaps: track === this.root ? gaps : surround(track, gaps, nowMs), shiftMs: track.shiftMs };
    });
    const before = isGrowing ? this.scale : null;
    this.scale = makeScale(intersectGaps(lists), this.startMs, this.endMs(nowMs), before);
  }

  /** Whether the axis ends in a gap that grows with time, so that it must be chosen anew for every picture. */
  isWaiting(nowMs: number): boolean {
    const { gaps } = this.scale;
    if (gaps.length === 0 || this.root.table.isEnded) return false;
    return [...this.tracks()].every(
      ({ idleness, shiftMs, table }) => table.isEnded || idleness.isWaiting(nowMs - shiftMs),
    );
  }

  /** A text that names a span over all tracks: its id in the run, `<run id>/<id>` in a child. */
  idOf({ track, span }: SpanAt): string {
    const id = track.table.idOf(span);
    return track === this.root ? id : `${track.table.runId}/${id}`;
  }

  find(id: string): SpanAt | null {
    const cut = id.lastIndexOf("/");
    const runId = cut === -1 ? null : id.slice(0, cut);
    for (const track of this.tracks()) {
      if (runId === null ? track !== this.root : track.table.runId !== runId) continue;
      const span = track.table.findId(id.slice(cut + 1));
      if (span !== NONE) return { track, span };
    }
    return null;
  }
}

function makeTrack(table: SpanTable, parent: Track | null, parentSpan: number): Track {
  const children = new Map<number, Track>();
  return {
    table,
    packing: new Packing(table),
    marks: new Marks(table),
    shiftMs: parent === null ? 0 : parent.shiftMs + (table.createdUs - parent.table.createdUs) / 1000,
    depth: parent === null ? 0 : parent.depth + 1,
    parent,
    parentSpan,
    children,
    idleness: new Idleness(table, (span) => isUnseenChild(table, children, span)),
  };
}

/** What a child does is not known while it is closed: its wait counts as work. */
function isUnseenChild(table: SpanTable, children: ReadonlyMap<number, Track>, span: number): boolean {
  return table.kindOf(span) === "child" && !children.has(span);
}

/** A child run is idle before it began and after it ended, too. */
function surround(track: Track, gaps: readonly Gap[], nowMs: number): Gap[] {
  const { table } = track;
  const endMs = table.count > 0 ? table.endMs[RUN]! : OPEN;
  const before: Gap = { startMs: Number.NEGATIVE_INFINITY, endMs: 0 };
  const after: Gap[] = endMs === OPEN ? [] : [{ startMs: endMs, endMs: Math.max(nowMs, endMs) + 1e12 }];
  return [before, ...gaps.filter((gap) => gap.endMs <= endMs), ...after];
}

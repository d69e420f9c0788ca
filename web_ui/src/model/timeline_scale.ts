/**
 * Time scales: how milliseconds of a run become places on its axis.
 *
 * Three spaces, never mixed:
 *
 *     Ms       milliseconds since the run was created
 *     Folded   the same, with idle gaps pressed together: the axis
 *     Px       pixels of the canvas; `camera` goes between Folded and Px
 *
 * 1. `fold` rises strictly, so that `unfold` is its inverse: a gap is pressed together, never cut out. What lies in
 *    one can still be pointed at.
 * 2. Outside of gaps a millisecond of the run is one of the axis. Before the first gap both are the same number.
 */

export interface Gap {
  readonly startMs: number;
  readonly endMs: number;
}

/** A stretch of the axis: either time as it was, or a gap. */
export interface Piece {
  readonly startMs: number;
  readonly endMs: number;
  readonly startFolded: number;
  readonly endFolded: number;
  readonly isGap: boolean;
}

export class TimeScale {
  /** `gaps` are in order and do not overlap; each becomes `gapFolded` wide. */
  constructor(
    readonly gaps: readonly Gap[],
    readonly gapFolded: number,
  ) {
    let saved = 0;
    for (const gap of gaps) {
      this.startFolded.push(gap.startMs - saved);
      saved += gap.endMs - gap.startMs - gapFolded;
      this.savedAfter.push(saved);
    }
  }

  private readonly startFolded: number[] = [];
  private readonly savedAfter: number[] = [];

  fold(ms: number): number {
    const gaps = this.gaps;
    if (gaps.length === 0 || ms <= gaps[0]!.startMs) return ms;
    const at = this.findGap(ms);
    const gap = gaps[at]!;
    if (ms >= gap.endMs) return ms - this.savedAfter[at]!;
    return this.startFolded[at]! + ((ms - gap.startMs) / (gap.endMs - gap.startMs)) * this.gapFolded;
  }

  unfold(folded: number): number {
    const gaps = this.gaps;
    if (gaps.length === 0 || folded <= this.startFolded[0]!) return folded;
    let low = 0;
    let high = gaps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.startFolded[middle]! <= folded) low = middle;
      else high = middle - 1;
    }
    const into = folded - this.startFolded[low]!;
    if (into >= this.gapFolded) return folded + this.savedAfter[low]!;
    const gap = gaps[low]!;
    return gap.startMs + (into / this.gapFolded) * (gap.endMs - gap.startMs);
  }

  /** The stretches between two places of the axis, in order. */
  pieces(startFolded: number, endFolded: number): Piece[] {
    const found: Piece[] = [];
    const add = (fromMs: number, toMs: number, fromFolded: number, toFolded: number, isGap: boolean): void => {
      if (toFolded < startFolded || fromFolded > endFolded || toFolded <= fromFolded) return;
      found.push({ startMs: fromMs, endMs: toMs, startFolded: fromFolded, endFolded: toFolded, isGap });
    };
    const first = this.countUntil(startFolded) - 1;
    const before = this.gaps[first - 1];
    let ms = before?.endMs ?? Math.min(this.unfold(startFolded), this.gaps[0]?.startMs ?? Number.POSITIVE_INFINITY);
    let folded = this.fold(ms);
    for (let at = Math.max(0, first); at < this.gaps.length && this.startFolded[at]! <= endFolded; at++) {
      const gap = this.gaps[at]!;
      const gapStart = this.startFolded[at]!;
      add(ms, gap.startMs, folded, gapStart, false);
      add(gap.startMs, gap.endMs, gapStart, gapStart + this.gapFolded, true);
      ms = gap.endMs;
      folded = gapStart + this.gapFolded;
    }
    if (endFolded > folded) add(ms, this.unfold(endFolded), folded, endFolded, false);
    return found;
  }

  /** How many gaps begin before a place of the axis, or there. */
  private countUntil(folded: number): number {
    let low = 0;
    let high = this.gaps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.startFolded[middle]! <= folded) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The last gap that begins before or at an instant; there is one. */
  private findGap(ms: number): number {
    let low = 0;
    let high = this.gaps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.gaps[middle]!.startMs <= ms) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

export const PLAIN = new TimeScale([], 1);

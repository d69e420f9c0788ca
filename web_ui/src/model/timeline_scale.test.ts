// Time scales: fold and unfold are each other's inverse, and gaps are where nothing happened.

import { describe, expect, it } from "vitest";
import { foldLog, makeRandom, SyntheticLog } from "../../bench/synthetic";
import { Idleness, intersectGaps, makeScale } from "./timeline_gaps";
import { type Gap, PLAIN, TimeScale } from "./timeline_scale";
import { OPEN, RUN, type SpanTable, segmentsOf } from "./timeline_spans";

function randomGaps(random: () => number): Gap[] {
  const gaps: Gap[] = [];
  let ms = random() * 100;
  const count = Math.floor(random() * 12);
  for (let at = 0; at < count; at++) {
    const startMs = ms;
    ms += 1 + random() ** 3 * 1e6;
    gaps.push({ startMs, endMs: ms });
    ms += random() < 0.2 ? 0 : random() * 500;
  }
  return gaps;
}

describe("a time scale", () => {
  it("unfolds what it folded, within and beside gaps", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = makeRandom(seed);
      const scale = new TimeScale(randomGaps(random), 0.1 + random() * 20);
      for (let turn = 0; turn < 50; turn++) {
        const ms = random() * 2e6 - 1000;
        expect(Math.abs(scale.unfold(scale.fold(ms)) - ms), `seed ${seed}, ${ms} ms`).toBeLessThan(1e-4);
      }
    }
  });

  it("rises strictly", () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = makeRandom(seed);
      const scale = new TimeScale(randomGaps(random), 5);
      const places = Array.from({ length: 60 }, () => random() * 1e6).sort((left, right) => left - right);
      for (let at = 1; at < places.length; at++) {
        expect(scale.fold(places[at]!)).toBeGreaterThan(scale.fold(places[at - 1]!));
      }
    }
  });

  it("makes every gap as wide as it was told, and leaves the rest as it was", () => {
    const scale = new TimeScale(
      [
        { startMs: 10, endMs: 1010 },
        { startMs: 1020, endMs: 9020 },
      ],
      4,
    );
    expect([10, 1010, 1020, 9020, 9030].map((ms) => scale.fold(ms))).toEqual([10, 14, 24, 28, 38]);
    expect(PLAIN.fold(123)).toBe(123);
  });

  it("gives pieces that cover a stretch without a hole", () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = makeRandom(seed);
      const scale = new TimeScale(randomGaps(random), 3);
      const from = seed % 2 === 0 ? random() * 100 - 50 : scale.fold(random() * 3e5);
      const to = from + 200 + random() * 3000;
      const pieces = scale.pieces(from, to);
      const inSight = pieces.filter((piece) => piece.endFolded >= from && piece.startFolded <= to);
      expect(pieces).toEqual(inSight);
      const gapsInSight = scale.gaps.filter((gap) => scale.fold(gap.endMs) > from && scale.fold(gap.startMs) < to);
      const found = pieces.filter((piece) => piece.isGap).map(({ startMs, endMs }) => ({ startMs, endMs }));
      expect(found).toEqual(expect.arrayContaining(gapsInSight));
      expect(pieces[0]!.startFolded).toBeLessThanOrEqual(from);
      expect(pieces[pieces.length - 1]!.endFolded).toBeGreaterThanOrEqual(to);
      for (let at = 1; at < pieces.length; at++) {
        expect(pieces[at]!.startFolded).toBeCloseTo(pieces[at - 1]!.endFolded, 6);
        expect(pieces[at]!.startMs).toBeCloseTo(pieces[at - 1]!.endMs, 6);
      }
    }
  });
});

describe("idle gaps", () => {
  /** Whether a stretch is free of work and of anything that begins or ends, by looking at everything. */
  function isIdle(table: SpanTable, { startMs, endMs }: Gap): boolean {
    for (let span = 0; span < table.count; span++) {
      for (const segment of segmentsOf(table, span)) {
        const from = table.segmentStartMs[segment]!;
        const to = table.segmentEndMs[segment]!;
        if ([from, to].some((ms) => ms > startMs && ms < endMs)) return false;
        const kind = table.segmentKinds.decode(table.segmentKind[segment]!);
        const isWork = kind === "queued" || (kind === "running" && span !== RUN);
        if (isWork && from < endMs && to > startMs) return false;
      }
    }
    return table.markers.every((marker) => marker.at_ms <= startMs || marker.at_ms >= endMs);
  }

  it("hold nothing that happened", () => {
    for (let seed = 0; seed < 30; seed++) {
      const table = foldLog(new SyntheticLog(120, seed));
      const { gaps } = new Idleness(table, () => false);
      for (const gap of gaps) expect(isIdle(table, gap), `seed ${seed}, ${gap.startMs} to ${gap.endMs}`).toBe(true);
    }
  });

  it("are all that are longer than what nobody sees", () => {
    let found = 0;
    for (let seed = 0; seed < 12; seed++) {
      const table = foldLog(new SyntheticLog(250, seed));
      const expected = findIdle(table);
      expect(new Idleness(table, () => false).gaps).toEqual(expected);
      found += expected.length;
    }
    expect(found).toBeGreaterThan(10);
  });

  /** All idle stretches between things that happened, by looking at each of them. */
  function findIdle(table: SpanTable): Gap[] {
    const edges = new Set<number>();
    for (let span = 0; span < table.count; span++) {
      for (const segment of segmentsOf(table, span)) {
        edges.add(table.segmentStartMs[segment]!);
        if (table.segmentEndMs[segment] !== OPEN) edges.add(table.segmentEndMs[segment]!);
      }
    }
    for (const marker of table.markers) edges.add(marker.at_ms);
    const sorted = [...edges].sort((left, right) => left - right);
    return sorted
      .slice(1)
      .map((endMs, at) => ({ startMs: sorted[at]!, endMs }))
      .filter((gap) => gap.endMs - gap.startMs >= 20 && isIdle(table, gap));
  }

  it("are revised by what is known only afterwards", () => {
    const idleness = new Idleness(foldLog(new SyntheticLog(1, 1)), () => false);
    idleness.gaps.length = 0;
    idleness.step(10_000, 0);
    idleness.step(10_100, 0);
    idleness.step(10_200, 0);
    idleness.step(10_050, 0); // an instant within a gap
    expect(idleness.gaps.slice(1)).toEqual([
      { startMs: 10_000, endMs: 10_050 },
      { startMs: 10_050, endMs: 10_100 },
      { startMs: 10_100, endMs: 10_200 },
    ]);
    idleness.step(10_080, 1); // work since then
    expect(idleness.gaps.slice(1)).toEqual([
      { startMs: 10_000, endMs: 10_050 },
      { startMs: 10_050, endMs: 10_080 },
    ]);
  });

  it("are pressed together where that shows more of the work", () => {
    const week = 7 * 24 * 3600e3;
    const scale = makeScale([{ startMs: 100, endMs: 100 + week }], 0, 200 + week);
    expect(scale.fold(200 + week)).toBeLessThan(250);
    expect(makeScale([{ startMs: 100, endMs: 130 }], 0, 1000)).toBe(PLAIN); // short
    expect(makeScale([{ startMs: 0, endMs: 1000 }], 0, 1000)).toBe(PLAIN); // there is nothing else
  });

  it("stay as they were while a run grows by less than can be seen", () => {
    const gaps = [{ startMs: 1000, endMs: 500_000 }];
    const before = makeScale(gaps, 0, 510_000);
    expect(makeScale(gaps, 0, 510_010, before)).toBe(before);
    expect(makeScale(gaps, 0, 510_010).gapFolded).not.toBe(before.gapFolded);
    const later = makeScale(gaps, 0, 511_000, before);
    expect(later.gapFolded).toBeGreaterThan(before.gapFolded);
    expect(makeScale([{ startMs: 1000, endMs: 500_001 }], 0, 510_010, before)).not.toBe(before);
    expect(makeScale([...gaps, { startMs: 510_000, endMs: 599_000 }], 0, 600_000, before).gaps).toHaveLength(2);
  });

  it("keep most of the axis for work, however many they are", () => {
    const gaps = Array.from({ length: 500 }, (_, at) => ({ startMs: at * 10_000, endMs: at * 10_000 + 9_990 }));
    const scale = makeScale(gaps, 0, 5_000_000);
    expect(scale.gaps).toHaveLength(500);
    expect(scale.gapFolded * 500).toBeLessThan(0.5 * scale.fold(5_000_000));
  });

  it("of several runs are where all of them idle", () => {
    const common = intersectGaps([
      {
        gaps: [
          { startMs: 0, endMs: 100 },
          { startMs: 200, endMs: 400 },
        ],
        shiftMs: 0,
      },
      { gaps: [{ startMs: 0, endMs: 230 }], shiftMs: 50 },
    ]);
    expect(common).toEqual([
      { startMs: 50, endMs: 100 },
      { startMs: 200, endMs: 280 },
    ]);
  });
});

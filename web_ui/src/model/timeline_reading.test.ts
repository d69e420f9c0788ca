// What is read off a timeline: axis, critical path, search, measure, export.

import { describe, expect, it } from "vitest";
import { BEGAN_US, beginTrace, foldLog, makeEvent, SyntheticLog } from "../../bench/synthetic";
import type { EventView } from "../api_types";
import { chooseStep, labelTick, makeAxis, showOffset } from "./timeline_axis";
import { fitAll } from "./timeline_camera";
import { type ChromeEvent, makeChromeTrace } from "./timeline_chrome_trace";
import type { View } from "./timeline_columns";
import { Fold } from "./timeline_fold";
import { measure } from "./timeline_measure";
import { findCriticalPath } from "./timeline_path";
import { PLAIN, TimeScale } from "./timeline_scale";
import { Scene } from "./timeline_scene";
import { Matches } from "./timeline_search";
import { parseInstantUs, RUN, readTrace, type SpanTable, showInstantUs } from "./timeline_spans";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Fold events that are a millisecond apart: `[type, call, more]`. */
function fold(...events: [string, number?, Partial<EventView>?][]): SpanTable {
  const table = readTrace(beginTrace("wrun_1", "shop:order"));
  const folding = new Fold(table);
  events.forEach(([type, call, more], at) => {
    const known = { correlation_id: call ?? null, name: call === undefined ? null : `shop:call_${call}`, attempt: 1 };
    folding.add(makeEvent(at + 2, type, BEGAN_US + (at + 1) * 1000, { ...known, ...more }));
  });
  return table;
}

describe("instants", () => {
  it("keep their microseconds", () => {
    for (const text of ["2026-01-02T03:04:05.000006Z", "1999-12-31T23:59:59.999999Z", "2026-06-01T00:00:00.100000Z"]) {
      expect(showInstantUs(parseInstantUs(text))).toBe(text);
    }
  });
});

describe("the axis", () => {
  it("writes times as exactly as ticks are apart", () => {
    expect(showOffset(250, 50)).toBe("250 ms");
    expect(showOffset(0.25, 0.05)).toBe("250 µs");
    expect(showOffset(2.5, 0.5)).toBe("2.5 ms");
    expect(showOffset(1250, 50)).toBe("1.25 s");
    expect(showOffset(15 * SECOND, 5 * SECOND)).toBe("15 s");
    expect(showOffset(2 * MINUTE + 5 * SECOND, SECOND)).toBe("2m 05s");
    expect(showOffset(3 * HOUR, HOUR)).toBe("3h");
    expect(showOffset(3 * HOUR + 20 * MINUTE, 10 * MINUTE)).toBe("3h 20m");
    expect(showOffset(DAY + 2 * HOUR, HOUR)).toBe("1d 02:00");
    expect(showOffset(DAY + 2 * HOUR + 5 * SECOND, SECOND)).toBe("1d 02:00:05");
    expect(showOffset(5 * DAY, DAY)).toBe("5d");
  });

  it("says only what changes where the whole would be long", () => {
    expect(labelTick(DAY + 5.25 * SECOND, 50)).toEqual({ label: ":05.25", isMajor: false });
    expect(labelTick(DAY, 50)).toEqual({ label: "1d 00:00:00.00", isMajor: true });
    expect(labelTick(DAY + 5.25 * SECOND, 50, true)).toEqual({ label: "1d 00:00:05.25", isMajor: true });
    expect(labelTick(0, 50)).toEqual({ label: "0", isMajor: true });
    expect(labelTick(-2 * SECOND, SECOND)).toEqual({ label: "−2 s", isMajor: false });
  });

  it("says which minute it is in where its ticks do not", () => {
    const camera = {
      startFolded: DAY + 3 * HOUR + 5.02 * SECOND,
      foldedPerPx: 1,
      topPx: 0,
      widthPx: 1000,
      heightPx: 9,
    };
    const axis = makeAxis({ camera, scale: PLAIN, nowMs: 0 });
    expect(axis.base).toBe("1d 03:00");
    expect(axis.ticks.slice(0, 2).map((tick) => tick.label)).toEqual([":05.1", ":05.2"]);
    expect(makeAxis({ camera: { ...camera, startFolded: 0 }, scale: PLAIN, nowMs: 0 }).base).toBe("");
  });

  it("chooses round steps that leave room for their labels", () => {
    for (const msPerPx of [1e-5, 0.003, 0.7, 13, 900, 1e5, 3e7]) {
      expect(chooseStep(msPerPx)).toBeGreaterThanOrEqual(msPerPx * 84);
    }
    expect(chooseStep(1)).toBe(100);
    expect(chooseStep(10_000)).toBe(15 * MINUTE);
  });

  it("has ticks where they say, no two of them too near, and tears where gaps are", () => {
    const scale = new TimeScale([{ startMs: 100, endMs: 100 + DAY }], 20);
    const blank = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx: 1000, heightPx: 100 };
    const camera = fitAll(blank, { startFolded: 0, endFolded: scale.fold(DAY + 400), contentPx: 0 });
    const view: View = { camera, scale, nowMs: 0 };
    const axis = makeAxis(view);
    expect(axis.breaks.map((one) => one.label)).toEqual(["1d 0h"]);
    expect(axis.ticks.length).toBeGreaterThan(5);
    for (let at = 0; at < axis.ticks.length; at++) {
      const tick = axis.ticks[at]!;
      expect(scale.unfold(camera.startFolded + tick.px * camera.foldedPerPx)).toBeCloseTo(tick.ms, 3);
      if (at > 0) expect(tick.px - axis.ticks[at - 1]!.px).toBeGreaterThan(40);
    }
  });

  it("tears once where gaps are too near each other to be told apart, and apart where they are not", () => {
    const gaps = Array.from({ length: 5000 }, (_, at) => ({ startMs: at * HOUR + 100, endMs: (at + 1) * HOUR }));
    const scale = new TimeScale(gaps, 0.01);
    const blank = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx: 1000, heightPx: 100 };
    const endFolded = scale.fold(5000 * HOUR);
    const far = makeAxis({ camera: fitAll(blank, { startFolded: 0, endFolded, contentPx: 0 }), scale, nowMs: 0 });
    expect(far.breaks).toHaveLength(1);
    expect(far.breaks[0]!.gapMs).toBeCloseTo(5000 * (HOUR - 100), 0);
    expect(far.breaks[0]!.label).toBe("208d 7h");
    const near = makeAxis({ camera: { ...blank, startFolded: 0, foldedPerPx: 0.5 }, scale, nowMs: 0 });
    expect(near.breaks.map((one) => one.label)).toEqual(["1h 00m", "1h 00m", "1h 00m", "1h 00m"]);
    expect(near.breaks[0]!.startPx).toBeCloseTo(200, 6);
  });
});

describe("the critical path", () => {
  function pathOf(table: SpanTable): string[] {
    return findCriticalPath(table).spans.map((span) => table.idOf(span));
  }

  it("goes through what ended last before each call", () => {
    // 1 and 2 run side by side; 3 follows when both are there; 4 is of no consequence.
    const table = fold(
      ["run_started"],
      ["step_created", 1],
      ["step_created", 2],
      ["step_created", 4],
      ["step_completed", 1],
      ["step_completed", 2],
      ["step_created", 3],
      ["step_completed", 4],
      ["step_completed", 3],
      ["run_completed"],
    );
    expect(pathOf(table)).toEqual(["2", "3"]);
  });

  it("goes by the log's order, not by times that are equal", () => {
    const table = readTrace(beginTrace("wrun_1", "shop:order"));
    const folding = new Fold(table);
    const events: [string, number?][] = [
      ["run_started"],
      ["step_created", 1],
      ["step_completed", 1],
      ["step_created", 2],
      ["step_created", 3],
      ["step_completed", 3],
      ["step_completed", 2],
      ["run_completed"],
    ];
    events.forEach(([type, call], at) => {
      folding.add(makeEvent(at + 2, type, BEGAN_US, { correlation_id: call ?? null, attempt: 1 }));
    });
    expect(pathOf(table)).toEqual(["1", "2"]);
  });

  it("goes through payloads, sleeps, children and locks that were granted", () => {
    const table = fold(
      ["run_started"],
      ["hook_created", 1],
      ["hook_received", 1],
      ["wait_created", 2, { meta: { kind: "sleep", due_at: 0 } }],
      ["wait_completed", 2],
      ["lock_requested", 3, { name: "lock:stock" }],
      ["lock_acquired", 3],
      ["child_started", 4, { meta: { run_id: "wrun_2" } }],
      ["lock_released", 3],
      ["child_completed", 4, { meta: { status: "completed" } }],
      ["hook_disposed", 1],
      ["run_completed"],
    );
    expect(pathOf(table)).toEqual(["1", "2", "3", "4"]);
  });

  it("of a run that goes on ends at its last delivery", () => {
    const table = fold(["run_started"], ["step_created", 1], ["step_completed", 1], ["step_created", 2]);
    expect(pathOf(table)).toEqual(["1"]);
  });

  it("is a chain without a hole, from the start of the body to the end", () => {
    for (let seed = 0; seed < 20; seed++) {
      const table = foldLog(new SyntheticLog(400, seed));
      const { spans } = findCriticalPath(table);
      expect(spans.length).toBeGreaterThan(0);
      for (let at = 1; at < spans.length; at++) {
        // Nothing is waited for between a call of the path and what caused it, but for a release or disposal.
        expect(table.startMs[spans[at]!]).toBeGreaterThanOrEqual(table.startMs[spans[at - 1]!]!);
        expect(table.beginSeq[spans[at]!]).toBeGreaterThan(table.beginSeq[spans[at - 1]!]!);
      }
    }
  });
});

describe("search", () => {
  const scene = new Scene(
    fold(
      ["run_started"],
      ["step_created", 1, { name: "shop:charge" }],
      ["step_failed", 1, { meta: { error_type: "shop.Declined" } }],
      ["step_created", 2, { name: "shop:Refund" }],
      ["wait_created", 3, { meta: { kind: "sleep" } }],
    ),
  );
  const found = (text: string) => {
    const matches = new Matches(scene, text);
    return Array.from({ length: matches.count }, (_, place) => scene.idOf(matches.at(place)!));
  };

  it("finds names, kinds, statuses, errors and ids, in any case", () => {
    expect(found("CHARGE")).toEqual(["1"]);
    expect(found("refund")).toEqual(["2"]);
    expect(found("sleep")).toEqual(["3"]);
    expect(found("failed")).toEqual(["1"]);
    expect(found("declined")).toEqual(["1"]);
    expect(found("#2")).toEqual(["2"]);
    expect(found("  ")).toEqual([]);
    expect(found("nothing like it")).toEqual([]);
  });

  it("goes from match to match, around both ends", () => {
    const matches = new Matches(scene, "shop");
    expect(found("shop")).toEqual(["run", "1", "2"]);
    const at = (id: string) => scene.find(id);
    expect([null, at("run"), at("1"), at("2"), at("3")].map((from) => matches.next(from, 1))).toEqual([0, 1, 2, 0, 0]);
    expect([null, at("run"), at("1"), at("2"), at("3")].map((from) => matches.next(from, -1))).toEqual([2, 2, 0, 1, 2]);
  });

  it("goes through the calls of all children that are open, in the order of the rows' runs, and back", () => {
    const family = new Scene(
      fold(
        ["run_started"],
        ["child_started", 1, { meta: { run_id: "wrun_a" } }],
        ["child_started", 2, { meta: { run_id: "wrun_b" } }],
      ),
    );
    const child = () => fold(["run_started"], ["step_created", 1], ["step_created", 2]);
    const grandchild = family.open(family.open(family.root, 1, child()), 2, child());
    family.open(family.root, 2, child());
    expect([...family.tracks()][2]).toBe(grandchild);
    const matches = new Matches(family, "step");
    expect(matches.count).toBe(6);
    const forwards = [0];
    for (let turn = 0; turn < 6; turn++) forwards.push(matches.next(matches.at(forwards.at(-1)!), 1));
    expect(forwards).toEqual([0, 1, 2, 3, 4, 5, 0]);
    const backwards = [5];
    for (let turn = 0; turn < 6; turn++) backwards.push(matches.next(matches.at(backwards.at(-1)!), -1));
    expect(backwards).toEqual([5, 4, 3, 2, 1, 0, 5]);
  });
});

describe("measuring", () => {
  it("counts calls under way, failed attempts, and how long attempts ran within", () => {
    const scene = new Scene(
      fold(
        ["run_started"], // at 1
        ["step_created", 1], // at 2
        ["step_created", 2], // at 3
        ["step_retrying", 2, { meta: { due_at: BEGAN_US + 6000 } }], // at 4
        ["step_completed", 1], // at 5
        ["step_started", 2, { attempt: 2 }], // at 6
        ["step_completed", 2], // at 7
        ["run_completed"],
      ),
    );
    expect(measure(scene, { startMs: 6.5, endMs: 3.5 }, 0)).toEqual({ lengthMs: 3, calls: 2, failed: 1, busyMs: 2.5 });
    expect(measure(scene, { startMs: 0, endMs: 8 }, 0)).toEqual({ lengthMs: 8, calls: 2, failed: 1, busyMs: 5 });
    expect(measure(scene, { startMs: 7.5, endMs: 8 }, 0).calls).toBe(0);
  });
});

describe("Chrome's trace format", () => {
  const slices = (events: readonly ChromeEvent[]) =>
    events.filter((event) => (event.ph === "X" || event.ph === "B") && !event.cat!.startsWith("segment"));

  it("has every span with its time, and survives as text", () => {
    for (let seed = 0; seed < 5; seed++) {
      const table = foldLog(new SyntheticLog(500, seed));
      const { traceEvents } = JSON.parse(JSON.stringify(makeChromeTrace(new Scene(table)))) as {
        traceEvents: ChromeEvent[];
      };
      const byId = new Map(slices(traceEvents).map((event) => [event.args.id, event]));
      expect(byId.size).toBe(table.count);
      for (let span = 0; span < table.count; span++) {
        const event = byId.get(table.idOf(span))!;
        expect(event.ts! / 1000).toBeCloseTo(table.startMs[span]!, 3);
        expect((event.ts! + event.dur!) / 1000).toBeCloseTo(table.endMs[span]!, 3);
        expect(event.cat).toBe(table.kindOf(span));
      }
    }
  });

  it("nests: no two slices of a thread overlap, unless one lies within the other", () => {
    const table = foldLog(new SyntheticLog(600, 4));
    const threads = new Map<number, ChromeEvent[]>();
    for (const event of makeChromeTrace(new Scene(table)).traceEvents) {
      if (event.ph !== "X") continue;
      threads.set(event.tid, [...(threads.get(event.tid) ?? []), event]);
    }
    expect(threads.size).toBeGreaterThan(3);
    for (const events of threads.values()) {
      const open: number[] = [];
      for (const event of events.sort((left, right) => left.ts! - right.ts! || right.dur! - left.dur!)) {
        while (open.length > 0 && open[open.length - 1]! <= event.ts!) open.pop();
        const endUs = event.ts! + event.dur!;
        if (open.length > 0) expect(endUs).toBeLessThanOrEqual(open[open.length - 1]!);
        open.push(endUs);
      }
    }
  });

  it("shows attempts within their call, children as processes, what goes on without an end", () => {
    const table = fold(
      ["run_started"],
      ["step_created", 1],
      ["step_retrying", 1, { meta: { due_at: BEGAN_US + 3500 } }],
      ["step_started", 1, { attempt: 2 }],
      ["step_completed", 1],
      ["child_started", 2, { meta: { run_id: "wrun_2" } }],
    );
    const scene = new Scene(table);
    scene.open(scene.root, table.findCall(2), foldLog(new SyntheticLog(3, 1), "wrun_2"));
    const { traceEvents } = makeChromeTrace(scene);
    const segments = traceEvents.filter((event) => event.args.span_id === "1").map((event) => event.name);
    expect(segments).toEqual(["attempt 1", "retry wait", "queued", "attempt 2"]);
    expect(traceEvents.filter((event) => event.ph === "B").map((event) => event.args.id ?? event.args.span_id)).toEqual(
      ["run", "run", "2", "2"],
    );
    const names = traceEvents.filter((event) => event.name === "process_name").map((event) => event.args.name);
    expect(names).toEqual(["shop:order wrun_1", "shop.site:build wrun_2"]);
    expect(table.findId("run")).toBe(RUN);
    expect(scene.scale).toBe(PLAIN);
  });
});

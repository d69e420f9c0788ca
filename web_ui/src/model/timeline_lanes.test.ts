// Lanes, rows, level of detail, hits: held against looking at everything.

import { describe, expect, it } from "vitest";
import { BEGAN_US, beginTrace, foldLog, makeEvent, makeRandom, SyntheticLog } from "../../bench/synthetic";
import {
  type Camera,
  clampCamera,
  endFolded,
  fitAll,
  fitRange,
  mixCameras,
  panBy,
  revealRow,
  revealTime,
  zoomAt,
} from "./timeline_camera";
import { type Box, NARROWEST_PX, sliceLane, toMs, toPx, type View } from "./timeline_columns";
import { makeDensity } from "./timeline_density";
import { Fold } from "./timeline_fold";
import { distancePx, hitSpan, REACH_PX } from "./timeline_hit";
import { Packing } from "./timeline_lanes";
import { Scene } from "./timeline_scene";
import { NONE, RUN, readTrace, type SpanTable, showTrace } from "./timeline_spans";

function makeScene(spans: number, seed: number): Scene {
  const scene = new Scene(foldLog(new SyntheticLog(spans, seed)));
  scene.rescale(0);
  scene.arrange();
  return scene;
}

function makeView(scene: Scene, random: () => number, widthPx = 700): View {
  const blank: Camera = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx, heightPx: 400 };
  const bounds = { startFolded: 0, endFolded: scene.scale.fold(scene.endMs(0)), contentPx: scene.rowCount * 20 };
  let camera = fitAll(blank, bounds);
  camera = zoomAt(camera, random() * widthPx, random() ** 4);
  camera = panBy(camera, (random() - 0.5) * 300, Math.floor(random() * bounds.contentPx));
  return { camera: clampCamera(camera, bounds), scale: scene.scale, nowMs: 0 };
}

describe("packing into lanes", () => {
  function lanesOf(table: SpanTable): Packing {
    const packing = new Packing(table);
    packing.extend();
    return packing;
  }

  it("lets no two spans of a lane overlap, and loses none", () => {
    for (let seed = 0; seed < 20; seed++) {
      const table = foldLog(new SyntheticLog(500, seed));
      const packing = lanesOf(table);
      let count = 0;
      for (const { lanes, count: expected } of packing.groups) {
        let inGroup = 0;
        for (const { spans } of lanes) {
          inGroup += spans.length;
          for (let at = 1; at < spans.length; at++) {
            expect(table.startMs[spans[at]!]).toBeGreaterThanOrEqual(table.endMs[spans[at - 1]!]!);
          }
        }
        expect(inGroup).toBe(expected);
        count += inGroup;
      }
      expect(count).toBe(table.count);
    }
  });

  it("takes no more lanes than ever are under way at once", () => {
    for (let seed = 0; seed < 10; seed++) {
      const table = foldLog(new SyntheticLog(400, seed));
      for (const { lanes, name, kind } of lanesOf(table).groups) {
        const spans: number[] = [];
        for (let span = 0; span < table.count; span++) {
          if (table.nameOf(span) === name && table.kindOf(span) === kind) spans.push(span);
        }
        const atOnce = spans.map((span) => {
          const ms = table.startMs[span]!;
          // One that begins and ends at this very instant is under way, too.
          return (
            spans.filter((other) => other <= span && table.startMs[other]! <= ms && table.endMs[other]! > ms).length + 1
          );
        });
        expect(lanes.length).toBeLessThanOrEqual(Math.max(...atOnce));
      }
    }
  });

  it("gives a followed run the lanes that it has when it is read afterwards", () => {
    for (let seed = 0; seed < 10; seed++) {
      const log = new SyntheticLog(300, seed);
      const table = readTrace(beginTrace("wrun_1", "shop:order"));
      const fold = new Fold(table);
      const followed = new Packing(table);
      const random = makeRandom(seed);
      for (const event of log.events) {
        fold.add(event);
        if (random() < 0.3) followed.extend();
      }
      followed.extend();
      const read = lanesOf(foldLog(log));
      const show = (packing: Packing) => packing.groups.map(({ lanes }) => lanes.map(({ spans }) => spans));
      expect(show(followed)).toEqual(show(read));
    }
  });
});

describe("level of detail", () => {
  it("conserves counts, failures and time over all boxes of the whole", () => {
    for (let seed = 0; seed < 12; seed++) {
      const scene = makeScene(1500, seed);
      const { table, packing } = scene.root;
      packing.extend();
      const random = makeRandom(seed);
      const widthPx = 60 + Math.floor(random() * 600);
      const bounds = { startFolded: 0, endFolded: scene.scale.fold(scene.endMs(0)), contentPx: 0 };
      const blank: Camera = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx, heightPx: 10 };
      const view: View = { camera: fitAll(blank, bounds), scale: scene.scale, nowMs: 0 };
      for (const { lanes } of packing.groups) {
        for (const lane of lanes) {
          let busyMs = 0;
          let failed = 0;
          let next = 0;
          sliceLane(table, lane, view, 0, 0, (box) => {
            expect(box.from).toBe(next); // in order, none twice, none left out
            next = box.to;
            busyMs += box.busyMs;
            failed += box.failed;
          });
          expect(next).toBe(lane.spans.length);
          const lengths = lane.spans.map((span) => table.endMs[span]! - table.startMs[span]!);
          expect(busyMs).toBeCloseTo(
            lengths.reduce((sum, ms) => sum + ms, 0),
            3,
          );
          expect(failed).toBe(lane.spans.filter((span) => table.statusOf(span) === "failed").length);
        }
      }
    }
  });

  it("shows every span of the view, wide ones by themselves, and costs two boxes a column", () => {
    for (let seed = 0; seed < 12; seed++) {
      const scene = makeScene(2500, seed);
      const { table, packing } = scene.root;
      packing.extend();
      const random = makeRandom(seed + 99);
      for (let turn = 0; turn < 6; turn++) {
        const view = makeView(scene, random);
        const leftMs = toMs(view, 0);
        const rightMs = toMs(view, view.camera.widthPx);
        for (const { lanes } of packing.groups) {
          for (const lane of lanes) {
            const shown = new Set<number>();
            let boxes = 0;
            sliceLane(table, lane, view, 0, 0, (box) => {
              boxes++;
              for (let at = box.from; at < box.to; at++) shown.add(lane.spans[at]!);
              if (box.to - box.from === 1) return;
              for (let at = box.from; at < box.to; at++) {
                const span = lane.spans[at]!;
                const wide = toPx(view, table.endMs[span]!) - toPx(view, table.startMs[span]!);
                expect(wide).toBeLessThan(NARROWEST_PX);
              }
            });
            expect(boxes).toBeLessThanOrEqual(2 * (view.camera.widthPx + 2));
            for (const span of lane.spans) {
              const isInside = table.endMs[span]! > leftMs && table.startMs[span]! <= rightMs;
              if (isInside) expect(shown.has(span), `seed ${seed}, span ${span}`).toBe(true);
            }
          }
        }
      }
    }
  });
});

describe("a lane that is drawn in parts", () => {
  it("has the boxes that it has when drawn at once, from whichever column on", () => {
    for (let seed = 0; seed < 10; seed++) {
      const scene = makeScene(2000, seed);
      const { table, packing } = scene.root;
      packing.extend();
      const random = makeRandom(seed + 7);
      const view = makeView(scene, random);
      for (const { lanes } of packing.groups) {
        for (const lane of lanes) {
          const slice = (fromPx: number) => {
            const boxes: Box[] = [];
            sliceLane(table, lane, view, 0, fromPx, (box) => boxes.push({ ...box }));
            return boxes;
          };
          const whole = slice(0);
          const fromPx = Math.floor(random() * view.camera.widthPx);
          const part = slice(fromPx);
          // What ends left of the column may be there or not; from the column on nothing differs.
          expect(part).toEqual(whole.slice(whole.length - part.length));
          const left = whole.slice(0, whole.length - part.length);
          for (const box of left) expect(box.startPx).toBeLessThan(fromPx);
          expect(left.every((box) => box.endPx <= fromPx + 1e-6)).toBe(true);
        }
      }
    }
  });
});

describe("the minimap's density", () => {
  it("is, over all cells, as long as all spans together", () => {
    for (let seed = 0; seed < 10; seed++) {
      for (const arrangement of ["calls", "names"] as const) {
        const scene = makeScene(800, seed);
        scene.arrangement = arrangement;
        scene.arrange();
        const stretch = { startFolded: 0, endFolded: scene.scale.fold(scene.endMs(0)) };
        const density = makeDensity(scene, 0, stretch, 333, 17);
        const { table } = scene.root;
        const perFolded = 333 / stretch.endFolded;
        let expected = 0;
        for (let span = RUN + 1; span < table.count; span++) {
          expected += (scene.scale.fold(table.endMs[span]!) - scene.scale.fold(table.startMs[span]!)) * perFolded;
        }
        const sum = (plane: Float32Array) => plane.reduce((total, cell) => total + cell, 0);
        expect((sum(density.work) + sum(density.waiting)) / expected).toBeCloseTo(1, 3);
        const failures = [...Array(table.count).keys()].filter((span) => span > 0 && table.statusOf(span) === "failed");
        expect(sum(density.failed)).toBe(failures.length);
      }
    }
  });
});

describe("hit tests", () => {
  /** The nearest span of a row within reach, by looking at all of them. */
  function bruteForce(scene: Scene, view: View, rowPx: number, xPx: number, yPx: number): { px: number } | null {
    const row = Math.floor((yPx + view.camera.topPx) / rowPx);
    let best: { px: number } | null = null;
    const { table } = scene.root;
    for (let span = 0; span < table.count; span++) {
      if (scene.rowOf({ track: scene.root, span }) !== row) continue;
      const px = distancePx(view, scene.root, span, xPx);
      if (px <= REACH_PX && (best === null || px < best.px)) best = { px };
    }
    return best;
  }

  it("find what is nearest, in rows and in lanes", () => {
    let found = 0;
    for (let seed = 0; seed < 8; seed++) {
      const scene = makeScene(400, seed);
      const random = makeRandom(seed + 7);
      for (const arrangement of ["calls", "names"] as const) {
        scene.arrangement = arrangement;
        scene.arrange();
        for (let turn = 0; turn < 40; turn++) {
          const view = makeView(scene, random);
          const [xPx, yPx] = [random() * 700, random() * 400];
          const hit = hitSpan(scene, view, 20, xPx, yPx);
          const truth = bruteForce(scene, view, 20, xPx, yPx);
          expect(hit === null, `seed ${seed} ${arrangement} turn ${turn}`).toBe(truth === null);
          if (hit === null || truth === null) continue;
          found++;
          expect(distancePx(view, hit.track, hit.span, xPx)).toBeCloseTo(truth.px, 6);
        }
      }
    }
    expect(found).toBeGreaterThan(50);
  });
});

describe("the scene", () => {
  it("has a row for each call, in which that call is", () => {
    const scene = makeScene(300, 1);
    expect(scene.rowCount).toBe(scene.root.table.count);
    for (let span = 0; span < scene.root.table.count; span++) {
      const row = scene.rowAt(scene.rowOf({ track: scene.root, span }))!;
      expect(row.kind === "span" && row.span).toBe(span);
    }
    expect(scene.rowAt(-1)).toBeNull();
    expect(scene.rowAt(scene.rowCount)).toBeNull();
  });

  it("shows a child's calls below the call that started it, and takes them away again", () => {
    const table = readTrace(beginTrace("wrun_parent", "shop:order"));
    for (const [id, kind] of [
      [1, "step"],
      [2, "child"],
      [3, "step"],
    ] as const) {
      table.addSpan(kind, `shop:${kind}`, "running", id, id + 2, id * 10);
    }
    const scene = new Scene(table);
    const child = foldLog(new SyntheticLog(5, 1), "wrun_child");
    const parentSpan = table.findCall(2);
    const track = scene.open(scene.root, parentSpan, child);
    scene.arrange();
    expect(scene.rowOf({ track: scene.root, span: table.findCall(1) })).toBe(1);
    expect(scene.rowOf({ track: scene.root, span: parentSpan })).toBe(2);
    expect(scene.rowOf({ track, span: RUN })).toBe(NONE); // its row is the call's
    expect(scene.rowOf({ track, span: 1 })).toBe(3);
    expect(scene.rowOf({ track: scene.root, span: table.findCall(3) })).toBe(3 + child.count - 1);
    expect(scene.idOf({ track, span: 1 })).toBe("wrun_child/1");
    expect(scene.find("wrun_child/1")).toEqual({ track, span: 1 });
    scene.close(scene.root, parentSpan);
    scene.arrange();
    expect(scene.rowCount).toBe(4);
    expect(scene.find("wrun_child/1")).toBeNull();
  });

  it("finds the same gaps in a run that is followed as in one that is read", () => {
    for (let seed = 0; seed < 15; seed++) {
      const log = new SyntheticLog(150, seed);
      const followed = new Scene(readTrace(beginTrace("wrun_1", "shop:order")));
      const { root } = followed;
      const fold = new Fold(root.table, (span, kind, atMs, delta) => followed.noteEdge(root, span, kind, atMs, delta));
      for (const event of log.events) fold.add(event);
      const read = new Scene(foldLog(log));
      const endMs = read.endMs(0);
      expect(root.idleness.until(endMs)).toEqual(read.root.idleness.until(endMs));
    }
  });

  /** Fold events, `[type, ms, call, meta]`, into a scene that follows them. */
  function follow(...events: [string, number, number?, Record<string, unknown>?][]): Scene {
    const scene = new Scene(readTrace(beginTrace("wrun_1", "shop:order")));
    const { root } = scene;
    const fold = new Fold(root.table, (span, kind, atMs, delta) => scene.noteEdge(root, span, kind, atMs, delta));
    events.forEach(([type, ms, call, meta], at) => {
      const more = { correlation_id: call ?? null, attempt: 1, meta: meta ?? {} };
      fold.add(makeEvent(at + 2, type, BEGAN_US + ms * 1000, more));
    });
    return scene;
  }

  it("has no gap over what is only marked, nor over what ended after its run", () => {
    const followed = follow(
      ["run_started", 1],
      ["wait_created", 2, 1, { kind: "sleep" }],
      ["cancel_requested", 5_000],
      ["attributes_set", 7_000, 2, { set: { tenant: "acme" } }],
      ["wait_completed", 9_000, 1],
      ["step_created", 9_001, 3],
      ["run_failed", 9_002],
      ["step_completed", 12_000, 3],
    );
    const read = new Scene(readTrace(showTrace(followed.root.table)));
    const gaps = followed.root.idleness.until(12_000);
    expect(gaps).toEqual(read.root.idleness.until(12_000));
    expect(gaps).toEqual([
      { startMs: 2, endMs: 5_000 },
      { startMs: 5_000, endMs: 7_000 },
      { startMs: 7_000, endMs: 9_000 },
    ]);
  });

  it("begins with what a late clock has put before the run", () => {
    expect(follow(["run_started", 1], ["step_created", -40, 1], ["step_completed", 20, 1]).startMs).toBe(-40);
    expect(follow(["run_started", 1], ["step_created", 4, 1]).startMs).toBe(0);
  });

  it("knows where its markers are, however they come", () => {
    const { root } = follow(["run_started", 1], ["hook_created", 2, 1], ["hook_received", 3, 1]);
    expect([root.marks.read().count, [...root.marks.spans.slice(0, 1)]]).toEqual([1, [1]]);
    const more = Array.from({ length: 200 }, (_, at) => ({ ...root.table.markers[0]!, span_id: "9", at_ms: 10 + at }));
    root.table.markers.push(...more);
    expect([root.marks.read().count, root.marks.spans[0], root.marks.spans[200]]).toEqual([201, 1, NONE]);
    expect([root.marks.atMs[0], root.marks.atMs[200]]).toEqual([3, 209]);
    root.table.markers = [{ ...more[0]!, span_id: "run" }];
    expect([root.marks.read().count, root.marks.spans[0], root.marks.atMs[0]]).toEqual([1, RUN, 10]);
  });
});

describe("the camera", () => {
  const camera: Camera = { startFolded: 100, foldedPerPx: 2, topPx: 0, widthPx: 500, heightPx: 200 };
  const bounds = { startFolded: 0, endFolded: 2000, contentPx: 1000 };

  it("zooms at the pointer", () => {
    for (let turn = 0; turn < 50; turn++) {
      const random = makeRandom(turn);
      const px = random() * 500;
      const zoomed = zoomAt(camera, px, 0.1 + random() * 3);
      expect(zoomed.startFolded + px * zoomed.foldedPerPx).toBeCloseTo(camera.startFolded + px * camera.foldedPerPx, 6);
    }
  });

  it("keeps the run on the screen", () => {
    for (let turn = 0; turn < 200; turn++) {
      const random = makeRandom(turn);
      const moved = zoomAt(panBy(camera, (random() - 0.5) * 1e5, (random() - 0.5) * 1e4), random() * 500, random() * 9);
      const kept = clampCamera(moved, bounds);
      const all = fitAll(camera, bounds);
      expect(kept.startFolded).toBeGreaterThanOrEqual(all.startFolded - 1e-6);
      expect(endFolded(kept)).toBeLessThanOrEqual(endFolded(all) + 1e-6);
      expect(kept.topPx).toBeGreaterThanOrEqual(0);
      expect(kept.topPx).toBeLessThanOrEqual(800);
      expect(clampCamera(kept, bounds)).toEqual(kept);
    }
  });

  it("scrolls only as far as it takes", () => {
    expect(revealRow(camera, 3, 20).topPx).toBe(0);
    expect(revealRow(camera, 30, 20).topPx).toBe(440);
    expect(revealRow({ ...camera, topPx: 500 }, 10, 20).topPx).toBe(180);
    expect(revealTime(camera, 200, 300)).toBe(camera);
    expect(revealTime(camera, 2000, 2100).startFolded).toBe(2100 + 80 - 1000);
    expect(revealTime(camera, 10, 20).startFolded).toBe(10 - 80);
    expect(revealTime(camera, -500, 5000)).toBe(camera); // it fills the picture already
  });

  it("glides from where it was to where it goes", () => {
    const to = fitRange(camera, 300, 350);
    expect(mixCameras(camera, to, 0).foldedPerPx).toBeCloseTo(2, 9);
    expect(mixCameras(camera, to, 1)).toBe(to);
    const half = mixCameras(camera, to, 0.5);
    expect(half.foldedPerPx).toBeLessThan(2);
    expect(half.foldedPerPx).toBeGreaterThan(to.foldedPerPx);
  });
});

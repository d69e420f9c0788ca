import { expect, it } from "vitest";
import { BEGAN_US, beginTrace, makeEvent } from "../../../bench/synthetic";
import { LiveTrace } from "../../model/live_trace";
import { Scene, type SpanAt } from "../../model/timeline_scene";
import type { OpenedRun } from "./following";
import { OpenedRuns } from "./opened";

function parent(): LiveTrace {
  const live = new LiveTrace(beginTrace("wrun_parent", "shop:order"));
  const more = { correlation_id: 1, name: "shop:bill", meta: { run_id: "wrun_child" } };
  live.add([makeEvent(2, "child_started", BEGAN_US + 5_000, more)]);
  return live;
}

/** A chart's scene, and a source whose answers come when a test says so. */
function stage() {
  const live = parent();
  const place = {
    scene: new Scene(live.table),
    shown: {
      trackOf: (runId: string) => [...place.scene.tracks()].find((track) => track.table.runId === runId) ?? null,
    },
    openChild: (at: SpanAt, child: LiveTrace) => void place.scene.open(at.track, at.span, child.table),
    closeChild: (at: SpanAt) => place.scene.close(at.track, at.span),
  };
  const asked: string[] = [];
  const closed: string[] = [];
  const troubles: string[] = [];
  const waiting: { resolve: (run: OpenedRun) => void; reject: (error: Error) => void }[] = [];
  const source = {
    open: (runId: string) => {
      asked.push(runId);
      return new Promise<OpenedRun>((resolve, reject) => waiting.push({ resolve, reject }));
    },
  };
  const arrive = () => {
    const trace = new LiveTrace(beginTrace("wrun_child", "shop:bill"));
    waiting.shift()!.resolve({ trace, close: () => closed.push("wrun_child") });
  };
  const opened = new OpenedRuns(
    place,
    () => source,
    (trouble) => troubles.push(trouble),
  );
  return { live, place, opened, asked, closed, troubles, waiting, arrive, call: () => place.scene.find("1")! };
}

it("opens a child, closes it, and lets go of its run", async () => {
  const { place, opened, closed, troubles, arrive, call } = stage();
  const opening = opened.toggle(call());
  arrive();
  expect(await opening).toBe(true);
  expect(place.shown.trackOf("wrun_child")).not.toBeNull();
  expect(await opened.toggle(call())).toBe(false);
  expect([place.shown.trackOf("wrun_child"), closed, troubles]).toEqual([null, ["wrun_child"], [""]]);
});

it("asks once for a child that is pressed twice, and lets go of it once", async () => {
  const { opened, asked, closed, arrive, call } = stage();
  const both = [opened.toggle(call()), opened.toggle(call())];
  arrive();
  expect(await Promise.all(both)).toEqual([true, false]);
  opened.close();
  expect([asked, closed]).toEqual([["wrun_child"], ["wrun_child"]]);
});

it("lets go of a child that comes when the timeline is gone", async () => {
  const { place, opened, closed, arrive, call } = stage();
  const opening = opened.toggle(call());
  opened.close();
  arrive();
  expect(await opening).toBe(false);
  expect([closed, place.shown.trackOf("wrun_child")]).toEqual([["wrun_child"], null]);
});

it("shows a child in the run as it was read anew meanwhile", async () => {
  const { place, opened, arrive, call } = stage();
  const opening = opened.toggle(call());
  place.scene = new Scene(parent().table);
  arrive();
  expect(await opening).toBe(true);
  expect(place.shown.trackOf("wrun_child")).not.toBeNull();
});

it("says why a child cannot be shown, and asks again when it is pressed again", async () => {
  const { opened, asked, troubles, waiting, arrive, call } = stage();
  const opening = opened.toggle(call());
  waiting.shift()!.reject(new Error("no run wrun_child"));
  expect(await opening).toBe(false);
  expect(troubles).toEqual(["the child run wrun_child cannot be shown: no run wrun_child"]);
  const again = opened.toggle(call());
  arrive();
  expect([await again, asked.length, troubles.at(-1)]).toEqual([true, 2, ""]);
});

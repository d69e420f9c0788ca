import { describe, expect, it } from "vitest";
import { beginTrace, makeEvent as makeEventAt } from "../../bench/synthetic";
import type { EventView } from "../api_types";
import { type Change, LiveTrace } from "./live_trace";
import { showInstantUs } from "./timeline_spans";

const BEGAN_US = 1_767_000_000_000_000;

function began(): LiveTrace {
  return new LiveTrace(beginTrace("wrun_1", "shop:order", BEGAN_US));
}

/** An event so many milliseconds after the run's creation. */
function makeEvent(seq: number, type: string, atMs: number): EventView {
  return makeEventAt(seq, type, BEGAN_US + atMs * 1000, { correlation_id: 1 });
}

function wait(seq: number, correlationId: number, atMs: number, dueMs: number): EventView {
  const due = BEGAN_US + dueMs * 1000;
  return { ...makeEvent(seq, "wait_created", atMs), correlation_id: correlationId, meta: { due_at: due } };
}

function instantAt(ms: number): string {
  return showInstantUs(BEGAN_US + ms * 1000);
}

describe("a trace that grows", () => {
  it("tells whoever looks, once a batch, and not of what it had already", () => {
    const live = began();
    const heard: Change[] = [];
    const stop = live.onChange((change) => heard.push(change));
    const events = [makeEvent(live.seq + 1, "run_started", 1), makeEvent(live.seq + 2, "hook_created", 2)];
    expect(live.add(events)).toBe(true);
    expect(live.add(events)).toBe(true);
    expect(heard).toEqual(["grew"]);
    stop();
    live.add([makeEvent(live.seq + 1, "hook_disposed", 3)]);
    expect(heard).toEqual(["grew"]);
  });

  it("asks to be read anew where an event is missing, and then takes only what is not behind it", () => {
    const live = began();
    const early = live.showAll();
    const heard: Change[] = [];
    live.onChange((change) => heard.push(change));
    expect(live.add([makeEvent(live.seq + 2, "run_started", 1)])).toBe(false);
    expect(live.add([makeEvent(live.seq + 1, "run_started", 1)])).toBe(true);
    live.replace(early);
    expect(live.showAll().status).toBe("running");
    live.replace({ ...live.showAll(), seq: live.seq + 5 });
    expect(heard).toEqual(["grew", "anew"]);
  });

  it("shows lines and streams in order of time among what events told, at the calls they belong to", () => {
    const live = began();
    live.add([makeEvent(live.seq + 1, "run_started", 1), makeEvent(live.seq + 2, "step_created", 2)]);
    live.add([{ ...makeEvent(live.seq + 1, "cancel_requested", 50) }]);
    const number = Number(live.table.idOf(1));
    const items = [
      { kind: "log" as const, at: instantAt(40), correlation_id: number, data: { attempt: 1 } },
      { kind: "stream_opened" as const, at: instantAt(60), correlation_id: null, data: { name: "default" } },
      { kind: "log" as const, at: instantAt(70), correlation_id: 999, data: { attempt: 1 } },
    ];
    const heard: Change[] = [];
    live.onChange((change) => heard.push(change));
    live.setMarks({ seq: live.seq, items, pending_waits: [] });
    live.setMarks({ seq: live.seq, items, pending_waits: [] });
    expect(heard).toEqual(["marked"]);
    expect(live.table.markers.map(({ kind, span_id, at_ms }) => [kind, span_id, at_ms])).toEqual([
      ["log", String(number), 40],
      ["cancel_requested", "run", 50],
      ["stream_opened", "run", 60],
      ["log", "run", 70],
    ]);
  });

  it("gives up a wait that nobody wants, but none that came later, and takes it back when its end is recorded", () => {
    const live = began();
    const first = live.seq + 1;
    live.add([wait(first, 1, 10, 90_000), wait(first + 1, 2, 20, 90_000)]);
    live.setMarks({ seq: first, items: [], pending_waits: [] });
    expect([live.show("1")?.status, live.show("2")?.status]).toEqual(["abandoned", "waiting"]);
    live.setMarks({ seq: first + 1, items: [], pending_waits: [2] });
    expect(live.show("2")?.status).toBe("waiting");
    live.add([{ ...makeEvent(first + 2, "wait_completed", 30), correlation_id: 1 }]);
    expect([live.show("1")?.status, live.show("1")?.end_ms]).toEqual(["completed", 30]);
  });

  it("marks an injected fault at the call that it was injected into", () => {
    const live = began();
    live.add([{ ...makeEvent(live.seq + 1, "step_created", 2), correlation_id: 4 }]);
    const set = { $fault: "fail=Declined into step charge (position 4)" };
    live.add([{ ...makeEvent(live.seq + 1, "attributes_set", 3), correlation_id: 5, name: "wf/fault", meta: { set } }]);
    expect(live.table.markers.map(({ kind, span_id, data }) => [kind, span_id, data])).toEqual([
      ["fault", "4", { text: set.$fault }],
    ]);
  });

  it("has no span of an id that nobody has", () => {
    expect(began().show("7")).toBeNull();
    expect(began().show("run")?.kind).toBe("run");
  });
});

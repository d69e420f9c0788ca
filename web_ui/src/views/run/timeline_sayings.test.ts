import { expect, it } from "vitest";
import { BEGAN_US, beginTrace, makeEvent } from "../../../bench/synthetic";
import { LiveTrace } from "../../model/live_trace";
import { Scene, type SpanAt } from "../../model/timeline_scene";
import { callName } from "../../model/timeline_words";
import { sayCall } from "./timeline_sayings";

function follow(...events: [string, number, Parameters<typeof makeEvent>[3]][]): (id: string) => SpanAt {
  const live = new LiveTrace(beginTrace("wrun_1", "shop:order"));
  live.add(events.map(([type, ms, more], at) => makeEvent(at + 2, type, BEGAN_US + ms * 1000, more)));
  const scene = new Scene(live.table);
  return (id) => scene.find(id)!;
}

it("says of a call that goes on nothing that grows, and of one that has ended how long it took", () => {
  const charge = { correlation_id: 1, name: "shop:charge", attempt: 1 };
  const running = follow(["step_created", 1500, charge]);
  expect(sayCall(running("1"))).toBe("charge, step, running, from 1.50 s");
  const failed = follow(
    ["step_created", 1500, charge],
    ["step_retrying", 1600, charge],
    ["step_started", 1700, { ...charge, attempt: 2 }],
    ["step_failed", 4000, { ...charge, attempt: 2, meta: { error_type: "shop.Declined" } }],
  );
  expect(sayCall(failed("1"))).toBe("charge, step, failed, 2 attempts, took 2.50 s, from 1.50 s, shop.Declined");
});

it("names calls without their module, and locks as the program named them", () => {
  expect(callName("step", "shop.orders:charge")).toBe("charge");
  expect(callName("lock", "stock:eu")).toBe("stock:eu");
  expect(callName("watch", "order:42")).toBe("order:42");
  expect(callName("lock", "a\u202eb")).toBe("a\\u202eb");
  const lock = follow(["lock_requested", 5, { correlation_id: 1, name: "lock:stock:eu", meta: { limit: 1 } }]);
  expect(sayCall(lock("1"))).toMatch(/^stock:eu, lock, queued/);
});

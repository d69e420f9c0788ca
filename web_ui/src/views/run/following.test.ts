// A run's feed: what is asked of the server, and how often, when events come, do not fit, or cannot be read.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { beginTrace, makeEvent } from "../../../bench/synthetic";

class Source {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  private readonly ears = new Map<string, (event: Event) => void>();

  constructor(readonly url: string) {
    Source.all.push(this);
  }

  static get open(): Source[] {
    return Source.all.filter((source) => source.readyState !== Source.CLOSED);
  }

  addEventListener(kind: string, ear: (event: Event) => void): void {
    this.ears.set(kind, ear);
  }

  give(seq: number, type: string, atMs: number): void {
    const event = makeEvent(seq, type, BEGAN_US + atMs * 1000);
    this.onmessage?.(new MessageEvent("message", { data: JSON.stringify(event), lastEventId: String(seq) }));
  }

  fail(slug: string): void {
    const error = { slug, message: "it failed", where: null, hint: null };
    this.ears.get("error")?.(new MessageEvent("error", { data: JSON.stringify({ error }) }));
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

const BEGAN_US = 1_767_000_000_000_000;
const page: { isHidden: boolean; look: () => void } = { isHidden: false, look: () => undefined };
let asked: string[] = [];
let marksTakeMs = 0;

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  Source.all = [];
  asked = [];
  marksTakeMs = 0;
  page.isHidden = false;
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("document", {
    get hidden() {
      return page.isHidden;
    },
    addEventListener: (_kind: string, ear: () => void) => {
      page.look = ear;
    },
    removeEventListener: () => undefined,
  });
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    if (url.endsWith("/marks")) await new Promise((resolve) => setTimeout(resolve, marksTakeMs));
    const marks = { seq: 1, items: [], pending_waits: [] };
    return Response.json(url.endsWith("/trace") ? beginTrace("wrun_1", "shop:order", BEGAN_US) : marks);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function begin() {
  const { openFeed } = await import("./following");
  const feed = openFeed("wrun_1");
  feed.want();
  await vi.advanceTimersByTimeAsync(1);
  return feed;
}

const traces = (): number => asked.filter((url) => url.endsWith("/trace")).length;

it("events are folded into the trace that was read, after which the run is followed", async () => {
  const feed = await begin();
  expect(Source.all.map((source) => source.url)).toEqual(["/api/runs/wrun_1/events?locked=true&cursor=1"]);
  Source.all[0]!.give(2, "run_started", 5);
  await vi.advanceTimersByTimeAsync(20);
  expect(feed.trace.value?.show("run")?.status).toBe("running");
  expect(traces()).toBe(1);
  feed.close();
  expect(Source.open).toEqual([]);
});

it("a trace that lacks an event is read anew once, whatever comes until then", async () => {
  const feed = await begin();
  for (let seq = 5; seq < 25; seq++) {
    Source.all[0]!.give(seq, "attributes_set", seq);
    await vi.advanceTimersByTimeAsync(40);
  }
  expect(traces()).toBe(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(traces()).toBe(2);
  feed.close();
});

it("a run that cannot be read is asked for again by one connection, also by a tab that was hidden meanwhile", async () => {
  const feed = await begin();
  page.isHidden = true;
  page.look();
  await vi.advanceTimersByTimeAsync(29_800);
  Source.all[0]!.fail("world-busy");
  await vi.advanceTimersByTimeAsync(500); // the tab lets its connection go before it connects again
  expect(Source.open).toEqual([]);
  page.isHidden = false;
  page.look();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(Source.open).toHaveLength(1);
  feed.close();
});

it("what no event tells is asked for once in a while, and seldom where it takes long", async () => {
  const feed = await begin();
  const countIn20s = async (seq: number): Promise<number> => {
    const before = asked.length;
    for (let turn = 0; turn < 200; turn++) {
      Source.all[0]!.give(seq + turn, "attributes_set", seq + turn);
      await vi.advanceTimersByTimeAsync(100);
    }
    return asked.length - before;
  };
  expect(await countIn20s(2)).toBeGreaterThan(20);
  marksTakeMs = 1000;
  expect(await countIn20s(202)).toBeLessThan(6);
  feed.close();
});

it("a feed that was let go asks for nothing any more", async () => {
  const feed = await begin();
  Source.all[0]!.give(9, "run_started", 5);
  Source.all[0]!.fail("world-busy");
  await vi.advanceTimersByTimeAsync(20);
  feed.close();
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asked.length, Source.open]).toEqual([before, []]);
});

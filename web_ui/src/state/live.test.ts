// The feed's connection: what is told when it comes, goes and comes again.

import { afterEach, beforeEach, expect, it, vi } from "vitest";

/** A browser's event source that does what a test says. */
class Source {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  private readonly ears = new Map<string, ((event: Event) => void)[]>();

  constructor(readonly url: string) {
    Source.all.push(this);
  }

  static get last(): Source {
    return Source.all.at(-1)!;
  }

  addEventListener(kind: string, ear: (event: Event) => void): void {
    this.ears.set(kind, [...(this.ears.get(kind) ?? []), ear]);
  }

  say(kind: string, data: object, id: string): void {
    for (const ear of this.ears.get(kind) ?? []) {
      ear(new MessageEvent(kind, { data: JSON.stringify(data), lastEventId: id }));
    }
  }

  break(): void {
    for (const ear of this.ears.get("error") ?? []) ear(new Event("error"));
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

const page: { isHidden: boolean; look: () => void } = { isHidden: false, look: () => undefined };

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  Source.all = [];
  page.isHidden = false;
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("fetch", async () => Response.json({ status: "ok" }));
  vi.stubGlobal("document", {
    get hidden() {
      return page.isHidden;
    },
    addEventListener: (_kind: string, ear: () => void) => {
      page.look = ear;
    },
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function start() {
  const live = await import("./live");
  const heard: string[] = [];
  live.hear("anew", () => heard.push("anew"));
  live.hear("runs", ({ changed }) => heard.push(`runs ${changed}`));
  live.startLive();
  Source.last.onopen?.();
  return { live, heard };
}

function hide(): void {
  page.isHidden = true;
  page.look();
  vi.advanceTimersByTime(60_000);
}

function show(): void {
  page.isHidden = false;
  page.look();
  Source.last.onopen?.();
}

it("a tab that was hidden goes on after the last thing it heard", async () => {
  const { live, heard } = await start();
  Source.last.say("runs", { changed: 3 }, "812");
  hide();
  expect([live.connection.value, Source.last.readyState]).toEqual(["paused", Source.CLOSED]);
  show();
  expect([live.connection.value, Source.last.url]).toEqual(["live", "/api/live?last_id=812"]);
  expect(heard).toEqual(["runs 3"]);
});

it("a tab that had heard nothing before it was hidden reads everything anew", async () => {
  const { live, heard } = await start();
  expect(heard).toEqual([]);
  hide();
  show();
  expect([live.connection.value, Source.last.url]).toEqual(["live", "/api/live"]);
  expect(heard).toEqual(["anew"]);
});

it("a tab that was let go connects again, whatever was learnt of the server meanwhile", async () => {
  const { live } = await start();
  const { call } = await import("../api");
  let answer = (_failed: Error): void => undefined;
  vi.stubGlobal("fetch", () => new Promise((_, fail) => (answer = fail)));
  page.isHidden = true;
  page.look();
  vi.advanceTimersByTime(29_000);
  const asked = call("GET /api/runs").catch((error: { slug: string }) => error.slug);
  const failAsked = answer;
  Source.last.break();
  vi.advanceTimersByTime(1000);
  expect(live.connection.value).toBe("paused");
  failAsked(new TypeError("Failed to fetch"));
  answer(new TypeError("Failed to fetch"));
  expect(await asked).toBe("server-gone");
  await vi.advanceTimersByTimeAsync(0);
  expect(live.connection.value).toBe("paused");
  show();
  expect([live.connection.value, Source.all.length]).toEqual(["live", 2]);
});

it("a gap says that everything is to be read anew", async () => {
  const { heard } = await start();
  Source.last.say("gap", {}, "900");
  expect(heard).toEqual(["anew"]);
});

it("a tab that is looked at again soon keeps its connection", async () => {
  const { live } = await start();
  page.isHidden = true;
  page.look();
  vi.advanceTimersByTime(10_000);
  page.isHidden = false;
  page.look();
  vi.advanceTimersByTime(60_000);
  expect([live.connection.value, Source.all.length]).toEqual(["live", 1]);
});

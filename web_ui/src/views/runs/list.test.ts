// The list of runs while answers are on their way: what the feed told meanwhile is newer than they are.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RunView } from "../../api_types";
import { NO_FILTER } from "../../model/filters";

class Source {
  static readonly CLOSED = 2;
  static last: Source;
  readyState = 0;
  onopen: (() => void) | null = null;
  private readonly ears = new Map<string, (event: Event) => void>();

  constructor() {
    Source.last = this;
  }

  addEventListener(kind: string, ear: (event: Event) => void): void {
    this.ears.set(kind, ear);
  }

  tell(kind: string, data: object): void {
    this.ears.get(kind)?.(new MessageEvent(kind, { data: JSON.stringify(data), lastEventId: "1" }));
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }
}

const run = (id: number, status = "running", events = 3): RunView =>
  ({ id: `wrun_${id}`, status, events, created_at: `2026-01-02T03:04:0${id}.000000Z` }) as RunView;

/** What was asked for runs and not answered yet. */
let asked: ((runs: RunView[], cursor?: string | null) => Promise<void>)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  asked = [];
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("document", { hidden: false, addEventListener: () => undefined });
  vi.stubGlobal("fetch", (url: string) => {
    if (!url.startsWith("/api/runs")) return Promise.resolve(Response.json({ status: "ok" }));
    return new Promise<Response>((resolve) => {
      asked.push(async (items, cursor = null) => {
        resolve(Response.json({ items, cursor }));
        await vi.advanceTimersByTimeAsync(1000);
      });
    });
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function start() {
  const { startLive } = await import("../../state/live");
  startLive();
  Source.last.onopen?.();
  const list = (await import("./list")).makeList(NO_FILTER);
  list.start();
  const shown = () => list.table.value.runs.map((one) => `${one.id} ${one.status}`);
  return { list, shown };
}

async function hear(...runs: RunView[]): Promise<void> {
  for (const one of runs) Source.last.tell("run", one);
  await vi.advanceTimersByTimeAsync(1000);
}

it("a first page that comes late takes back nothing, and leaves out no run that began meanwhile", async () => {
  const { shown } = await start();
  await hear(run(1, "completed", 9), run(2, "completed", 9));
  await asked[0]!([run(1)]);
  expect(shown()).toEqual(["wrun_2 completed", "wrun_1 completed"]);
});

it("a further page that comes late takes back nothing", async () => {
  const { list, shown } = await start();
  await asked[0]!([run(2)], "more");
  list.more();
  await hear(run(1, "completed", 9));
  await asked[1]!([run(1)]);
  expect(shown()).toEqual(["wrun_2 running", "wrun_1 completed"]);
});

it("a look at what is in flight that comes late takes back nothing", async () => {
  const { list, shown } = await start();
  await asked[0]!([run(1)]);
  list.look();
  await hear(run(1, "completed", 9));
  await asked[1]!([run(1)]);
  expect(shown()).toEqual(["wrun_1 completed"]);
});

it("a page that is read while rows must not move takes back nothing", async () => {
  const { list, shown } = await start();
  await asked[0]!([run(1)]);
  list.isHeld.value = true;
  Source.last.tell("gap", {});
  await vi.advanceTimersByTimeAsync(1000);
  await hear(run(1, "completed", 9));
  await asked[1]!([run(1)]);
  expect(shown()).toEqual(["wrun_1 completed"]);
});

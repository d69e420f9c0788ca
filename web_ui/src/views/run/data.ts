// A run's data, each part loaded when it is asked for, and again when the feed says that the run changed.
//
// While the run goes on its events are followed (`following.ts`): its spans grow by them, and what else is shown is read
// on when there are some. Changes in a burst are one read.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { call, Failure, GONE } from "../../api";
import type { EventView, LogView, RunView, StepView, StreamView } from "../../api_types";
import type { LiveTrace } from "../../model/live_trace";
import { isEnded } from "../../model/statuses";
import { hear, onceBack } from "../../state/live";
import { openFeed, type RunFeed } from "./following";

/** What a list shows of a payload; more is asked for when somebody opens it. */
export const LISTED_BYTES = 4_000;
/** Of a payload that is downloaded: as much as a payload may have. */
export const WHOLE_BYTES = 2 ** 40;
const PAGE = 1000;
const GATHER_MS = 150;
const SLOWEST_MS = 5_000;
/** Chunks are no events: how many there are of an open stream is looked at so often. */
const STREAMS_MS = 2000;

export interface Part<T> {
  data: Signal<T | null>;
  failure: Signal<Failure | null>;
  /** Load it now, and from now on whenever the run changes. */
  want(): void;
  reload(): void;
}

export interface RunData {
  id: string;
  run: Part<RunView>;
  trace: Part<LiveTrace>;
  steps: Part<readonly StepView[]>;
  events: Part<readonly EventView[]>;
  logs: Part<readonly LogView[]>;
  streams: Part<readonly StreamView[]>;
}

export function useRunData(id: string): RunData {
  const data = useMemo(() => makeData(id), [id]);
  useEffect(() => data.open(), [data]);
  return data;
}

interface OwnPart<T> extends Part<T> {
  heard(): void;
  stop(): void;
}

function makeData(id: string) {
  const path = { id };
  const run = makePart<RunView>(() => call("GET /api/runs/{id}", { path }));
  let feed: RunFeed | null = null;
  const trace = makeTracePart(() => feed);
  const steps = makePart<readonly StepView[]>(async () => {
    const found: StepView[] = [];
    let cursor: string | null = null;
    do {
      const query = { limit: PAGE, max_bytes: LISTED_BYTES, ...(cursor === null ? {} : { cursor }) };
      const page: { items: StepView[]; cursor: string | null } = await call("GET /api/runs/{id}/steps", {
        path,
        query,
      });
      found.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== null);
    return found;
  });
  const events = makePart<readonly EventView[]>(async (before) => {
    const found = [...(before ?? [])];
    let page: { items: EventView[]; cursor: string | null };
    do {
      const query = { limit: PAGE, max_bytes: LISTED_BYTES, cursor: String(found.at(-1)?.seq ?? 0) };
      page = await call("GET /api/runs/{id}/events", { path, query });
      found.push(...page.items);
    } while (page.cursor !== null);
    return found;
  });
  const logs = makePart<readonly LogView[]>(async (before) => {
    const found = [...(before ?? [])];
    let cursor = found.at(-1)?.position ?? null;
    do {
      const query = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
      const page: { items: LogView[]; cursor: string | null } = await call("GET /api/runs/{id}/logs", { path, query });
      found.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== null);
    return found;
  });
  const streams = makePart<readonly StreamView[]>(
    async () => (await call("GET /api/runs/{id}/streams", { path })).items,
  );
  const read = [run, steps, events, logs, streams];

  /** Begin to follow the run; gives the function that lets go of it. */
  function open(): () => void {
    const own = openFeed(id);
    feed = own;
    trace.attach(own);
    run.want();
    const changed = () => {
      for (const part of read) part.heard();
    };
    const anew = () => {
      changed();
      if (own.failure.peek()) own.reload();
    };
    // What could not be read while the server was gone.
    const back = () => {
      for (const part of [...read, trace]) if (part.failure.peek()?.slug === GONE) part.reload();
    };
    const looking = setInterval(() => {
      if (isLive(run.data.peek()) && !document.hidden) streams.heard();
    }, STREAMS_MS);
    const stops = [
      own.onNews(changed),
      // Once it is known where the run is, what comes after that is followed.
      run.data.subscribe((view) => {
        if (isLive(view)) own.begin(view!.events);
      }),
      hear("run", (view) => {
        if (view.id === id) changed();
      }),
      hear("runs", changed),
      hear("anew", anew),
      onceBack(back),
    ];
    return () => {
      clearInterval(looking);
      for (const stop of stops) stop();
      for (const part of read) part.stop();
      trace.detach();
      own.close();
      feed = null;
    };
  }

  return { id, run, trace, steps, events, logs, streams, open };
}

/** The run's spans, which grow by themselves once somebody wants them. */
function makeTracePart(feedOf: () => RunFeed | null) {
  const data = signal<LiveTrace | null>(null);
  const failure = signal<Failure | null>(null);
  let isWanted = false;
  let stops: (() => void)[] = [];
  return {
    data,
    failure,
    want() {
      isWanted = true;
      feedOf()?.want();
    },
    reload: () => feedOf()?.reload(),
    attach(feed: RunFeed) {
      stops = [
        feed.trace.subscribe((trace) => {
          data.value = trace;
        }),
        feed.failure.subscribe((found) => {
          failure.value = found;
        }),
      ];
      if (isWanted) feed.want();
    },
    detach() {
      for (const stop of stops) stop();
    },
  };
}

/** A large run takes long to read: it is read again only after a pause as long as that took. */
export function makePart<T>(load: (before: T | null) => Promise<T>): OwnPart<T> {
  const data = signal<T | null>(null);
  const failure = signal<Failure | null>(null);
  let isWanted = false;
  let isBusy = false;
  let isStale = false;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let tookMs = 0;

  async function run(): Promise<void> {
    clearTimeout(timer); // or two would read at once, and the older answer might be the last
    isBusy = true;
    isStale = false;
    const began = performance.now();
    try {
      const found = await load(data.peek());
      if (isOver) return;
      data.value = found;
      failure.value = null;
    } catch (error) {
      if (!isOver) failure.value = Failure.from(error);
    } finally {
      isBusy = false;
      tookMs = performance.now() - began;
      if (isStale && !isOver) soon();
    }
  }

  function soon(): void {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), Math.min(SLOWEST_MS, Math.max(GATHER_MS, tookMs)));
  }

  return {
    data,
    failure,
    want() {
      isOver = false;
      if (isWanted) return;
      isWanted = true;
      void run();
    },
    reload() {
      if (isBusy) isStale = true;
      else void run();
    },
    heard() {
      if (!isWanted) return;
      if (isBusy) isStale = true;
      else if (!isStale) {
        isStale = true;
        soon();
      }
    },
    stop() {
      isOver = true;
      isWanted = false;
      clearTimeout(timer);
    },
  };
}

export function isLive(run: RunView | null): boolean {
  return run !== null && !isEnded(run.status);
}

/** Ask for one step whole, with its payloads. */
export async function readStep(id: string, correlationId: number, signal: AbortSignal): Promise<StepView | null> {
  const query = { cursor: String(Math.max(0, correlationId - 1)), limit: 1 };
  const page = await call("GET /api/runs/{id}/steps", { path: { id }, query, signal });
  const found = page.items[0];
  return found?.correlation_id === correlationId ? found : null;
}

/** Ask for one event whole. */
export async function readEvent(id: string, seq: number): Promise<EventView | null> {
  const query = { cursor: String(seq - 1), limit: 1 };
  const page = await call("GET /api/runs/{id}/events", { path: { id }, query });
  return page.items[0] ?? null;
}

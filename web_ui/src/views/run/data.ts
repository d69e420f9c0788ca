// A run's data, each part loaded when it is asked for, and again when the feed says that the run changed.
//
// One connection serves the whole studio: a run's events are not followed by one of their own. While it is in
// flight its row is looked at, and when it grew, what is shown is read on. Changes in a burst are one read.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { call, Failure } from "../../api";
import type { EventView, LogView, RunView, StepView, StreamView, Trace } from "../../api_types";
import { isEnded } from "../../model/statuses";
import { hear } from "../../state/live";
import { usePulse } from "../../state/pulse";

/** What a list shows of a payload; more is asked for when somebody opens it. */
export const LISTED_BYTES = 4_000;
const PAGE = 1000;
const GATHER_MS = 120;
const SLOWEST_MS = 5_000;
const LOOK_MS = 700;

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
  trace: Part<Trace>;
  steps: Part<readonly StepView[]>;
  events: Part<readonly EventView[]>;
  logs: Part<readonly LogView[]>;
  streams: Part<readonly StreamView[]>;
}

export function useRunData(id: string): RunData {
  const data = useMemo(() => makeData(id), [id]);
  useEffect(() => {
    data.run.want();
    const changed = () => {
      for (const part of data.parts) part.heard();
    };
    const ears = [
      hear("run", (run) => {
        if (run.id === id) changed();
      }),
      hear("runs", changed),
      hear("anew", changed),
    ];
    return () => {
      for (const stop of ears) stop();
      for (const part of data.parts) part.stop();
    };
  }, [data, id]);
  const run = data.run.data.value;
  usePulse(isLive(run) ? LOOK_MS : null, () => {
    call("GET /api/runs/{id}", { path: { id }, query: { locked: true } }).then(
      (now) => {
        const shown = data.run.data.peek();
        if (shown && (now.events !== shown.events || now.status !== shown.status || now.reason !== shown.reason)) {
          for (const part of data.parts) part.heard();
        }
      },
      () => undefined, // the part that is shown says what is wrong
    );
  });
  return data;
}

interface OwnPart<T> extends Part<T> {
  heard(): void;
  stop(): void;
}

function makeData(id: string) {
  const path = { id };
  const run = makePart<RunView>(() => call("GET /api/runs/{id}", { path }));
  const trace = makePart<Trace>(() => call("GET /api/runs/{id}/trace", { path }));
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
  return { id, run, trace, steps, events, logs, streams, parts: [run, trace, steps, events, logs, streams] };
}

/** A large run takes long to read: it is read again only after a pause as long as that took. */
function makePart<T>(load: (before: T | null) => Promise<T>): OwnPart<T> {
  const data = signal<T | null>(null);
  const failure = signal<Failure | null>(null);
  let isWanted = false;
  let isBusy = false;
  let isStale = false;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let tookMs = 0;

  async function run(): Promise<void> {
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

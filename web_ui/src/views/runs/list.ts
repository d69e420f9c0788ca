// The list of runs that a filter gives, live: first pages, further pages, and what the feed says of it.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { call, Failure, GONE } from "../../api";
import type { RunView } from "../../api_types";
import { askFor, fits, hasWords, type RunFilter, writeFilter } from "../../model/filters";
import { append, begin, EMPTY, newerOf, type RunTable, settle, take } from "../../model/run_table";
import { isEnded } from "../../model/statuses";
import { hear, onceBack } from "../../state/live";
import { usePulse } from "../../state/pulse";

const FIRST = 200;
const MORE = 1000;
const GATHER_MS = 150;
const ANEW_MS = 1000;
/** With words that few runs have, pages are read until so many fit, or so many were looked through. */
const WANTED = 50;
const LOOKED_THROUGH = 5000;
const LOOK_MS = 2000;
const LOOKED_AT = 200;

export interface RunList {
  table: Signal<RunTable>;
  failure: Signal<Failure | null>;
  isLoading: Signal<boolean>;
  /** How many runs were looked through for the filter's words. */
  looked: Signal<number>;
  /** Rows must not move: a pointer or a cursor is over them. */
  isHeld: Signal<boolean>;
  more(): void;
  reload(): void;
  settle(): void;
  /** See what runs in flight are at now. */
  look(): void;
}

export function useRunList(filter: RunFilter): RunList {
  const key = writeFilter(filter);
  const list = useMemo(() => makeList(filter), [key]);
  useEffect(() => {
    list.start();
    return () => list.stop();
  }, [list]);
  const { runs } = list.table.value;
  const hasOpen = useMemo(() => runs.slice(0, LOOKED_AT).some((run) => !isEnded(run.status)), [runs]);
  usePulse(hasOpen ? LOOK_MS : null, list.look);
  return list;
}

export function makeList(filter: RunFilter): RunList & { start(): void; stop(): void } {
  const table = signal<RunTable>(EMPTY);
  const failure = signal<Failure | null>(null);
  const isLoading = signal(true);
  const isHeld = signal(false);
  const looked = signal(0);
  const changed = new Map<string, RunView>();
  /** What was heard while a page was on its way: the page may be older than that. */
  const meanwhile = new Map<string, RunView>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  let isOver = false;
  let isAnewComing = false;
  let turn = 0;
  const ears: (() => void)[] = [];

  async function read(from: string | null, limit: number): Promise<void> {
    const own = ++turn;
    isLoading.value = true;
    meanwhile.clear();
    try {
      let cursor = from;
      let found: RunView[] = [];
      let seen = from === null ? 0 : looked.value;
      do {
        const query = { ...askFor(filter), limit, ...(cursor === null ? {} : { cursor }) };
        const page = await call("GET /api/runs", { query });
        if (own !== turn || isOver) return;
        seen += page.items.length;
        found = [...found, ...page.items.filter((run) => hasWords(run, filter.words))];
        cursor = page.cursor;
      } while (cursor !== null && found.length < WANTED && filter.words.length > 0 && seen < LOOKED_THROUGH);
      table.value = from === null ? begin(found, cursor) : append(table.value, found, cursor);
      if (meanwhile.size > 0) put([...meanwhile.values()]);
      looked.value = seen;
      failure.value = null;
    } catch (error) {
      if (own === turn && !isOver) failure.value = Failure.from(error);
    }
    if (own === turn && !isOver) isLoading.value = false;
  }

  function apply(): void {
    const news = [...changed.values()];
    changed.clear();
    put(news);
  }

  function put(news: readonly RunView[]): void {
    const nowMs = Date.now();
    table.value = take(table.value, news, { isHeld: isHeld.value, fits: (run) => fits(run, filter, nowMs) });
  }

  function later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, ms);
    timers.add(timer);
  }

  /** So many changed that reading the first page anew costs less; once a second at most. */
  function anew(): void {
    if (isAnewComing) return;
    isAnewComing = true;
    later(ANEW_MS, () => {
      isAnewComing = false;
      if (isHeld.value) void readAside();
      else void read(null, Math.max(FIRST, Math.min(1000, table.value.runs.length)));
    });
  }

  async function readAside(): Promise<void> {
    const page = await call("GET /api/runs", { query: { ...askFor(filter), limit: FIRST } }).catch(() => null);
    if (!page || isOver) return;
    for (const run of page.items) changed.set(run.id, newerOf(changed.get(run.id), run));
    apply();
  }

  return {
    table,
    failure,
    isLoading,
    looked,
    isHeld,
    more() {
      if (!isLoading.value && table.value.cursor !== null) void read(table.value.cursor, MORE);
    },
    reload() {
      void read(null, FIRST);
    },
    look() {
      const query = { ...askFor(filter), status: ["pending", "running"], limit: LOOKED_AT };
      call("GET /api/runs", { query }).then(
        (page) => {
          if (isOver) return;
          const known = new Set(table.peek().runs.map((run) => run.id));
          if (changed.size === 0) later(GATHER_MS, apply);
          for (const run of page.items) if (known.has(run.id) && !changed.has(run.id)) changed.set(run.id, run);
        },
        () => undefined,
      );
    },
    settle() {
      table.value = settle(table.value);
    },
    start() {
      isOver = false;
      void read(null, FIRST);
      ears.push(
        hear("run", (run) => {
          if (changed.size === 0) later(GATHER_MS, apply);
          changed.set(run.id, run);
          if (isLoading.peek()) meanwhile.set(run.id, run);
        }),
        hear("runs", anew),
        hear("anew", anew),
        onceBack(() => {
          if (failure.peek()?.slug === GONE) void read(null, FIRST);
        }),
      );
    },
    stop() {
      isOver = true;
      for (const stop of ears.splice(0)) stop();
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

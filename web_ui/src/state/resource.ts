// A resource: what was asked of the server, while it loads, when it fails, and when it is asked again.

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Failure, GONE } from "../api";
import { connection } from "./live";

export interface Resource<T> {
  /** The newest answer; it stays while a newer one is on its way. */
  data: T | null;
  failure: Failure | null;
  isLoading: boolean;
}

export interface Loader<T> {
  state: Signal<Resource<T>>;
  reload(): void;
  /** Take an answer from elsewhere: an action's, or the feed's. */
  set(data: T): void;
}

/** Load when `key` changes, and again on `reload`. One that is overtaken by a newer one is given up. */
export function useResource<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loader<T> {
  const loader = useMemo(() => makeLoader(load), [key]);
  useEffect(() => {
    if (key !== null) loader.reload();
    // What could not be read while the server was gone is read when it is back.
    const stop = connection.subscribe((now) => {
      if (now === "live" && loader.state.peek().failure?.slug === GONE) loader.reload();
    });
    return () => {
      stop();
      loader.stop();
    };
  }, [loader, key]);
  return loader;
}

function makeLoader<T>(load: (signal: AbortSignal) => Promise<T>) {
  const state = signal<Resource<T>>({ data: null, failure: null, isLoading: true });
  let abort: AbortController | null = null;
  let isWanted = false;

  async function run(): Promise<void> {
    const own = new AbortController();
    abort = own;
    state.value = { ...state.value, isLoading: true };
    try {
      const data = await load(own.signal);
      if (!own.signal.aborted) state.value = { data, failure: null, isLoading: false };
    } catch (error) {
      if (!own.signal.aborted) state.value = { ...state.value, failure: Failure.from(error), isLoading: false };
    } finally {
      if (abort === own) abort = null;
      if (isWanted && !own.signal.aborted) {
        isWanted = false;
        void run();
      }
    }
  }

  return {
    state,
    /** Ask again; while an answer is on its way, once more after it. */
    reload(): void {
      if (abort) isWanted = true;
      else void run();
    },
    set(data: T): void {
      state.value = { data, failure: null, isLoading: false };
    },
    stop(): void {
      isWanted = false;
      abort?.abort();
      abort = null;
    },
  };
}

// The feed: one connection for the whole studio, and how it is.
//
//   connecting → live ⇄ reconnecting → stale (nothing heard for a while) or gone (the server does not answer)
//
// 1. A tab that is not looked at for half a minute lets its connection go: a browser has six for a server, for
//    all of its tabs together. It resumes from the last id it saw.
// 2. A server that hangs, or is stopped, keeps its connections and says nothing on them: it is asked now and then.
// 3. `gap`, and coming back after a new server began its own ids, both say: read everything anew.

import { signal } from "@preact/signals";
import { call, type Followed, follow, GONE, lookForServer, onFailure } from "../api";
import type { Reload, RunView } from "../api_types";

export type Connection = "connecting" | "live" | "reconnecting" | "stale" | "gone" | "paused";

export const connection = signal<Connection>("connecting");
export const hasSession = signal(true);

export interface Heard {
  run: RunView;
  runs: { changed: number };
  reload: Reload;
  verdict: Record<string, unknown>;
  worker: Record<string, unknown>;
  error: { message?: string; hint?: string | null; error?: { message: string } };
  /** Everything may have changed. */
  anew: Record<string, never>;
}

type Ear<K extends keyof Heard> = (data: Heard[K]) => void;
const ears: { [K in keyof Heard]?: Set<Ear<K>> } = {};

/** Listen to one kind of event; gives the function that stops listening. */
export function hear<K extends keyof Heard>(kind: K, ear: Ear<K>): () => void {
  const set = (ears[kind] ?? new Set()) as Set<Ear<K>>;
  ears[kind] = set as never;
  set.add(ear);
  return () => set.delete(ear);
}

function tell<K extends keyof Heard>(kind: K, data: Heard[K]): void {
  for (const ear of (ears[kind] as Set<Ear<K>> | undefined) ?? []) ear(data);
}

const KINDS = ["run", "runs", "reload", "verdict", "worker", "error", "gap"] as const;
const STALE_MS = 10_000;
const HIDDEN_MS = 30_000;
/** Asked so often, and waited for so long: together `STALE_MS`. */
const WATCH_MS = 3000;
const SILENT_MS = 7000;

let followed: Followed | null = null;
let staleTimer: ReturnType<typeof setTimeout> | undefined;
let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
let lastId: string | null = null;
let wasLost = false;
let isSilent = false;
let isWatching = false;

export function startLive(): void {
  open();
  setInterval(() => void watch(), WATCH_MS);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(pause, HIDDEN_MS);
    else if (connection.value === "paused") open();
  });
  onFailure((failure) => {
    if (failure.status === 401) hasSession.value = false;
    if (failure.slug === GONE && connection.value !== "live" && connection.value !== "paused")
      connection.value = "gone";
  });
}

/** Be told each time the connection is live again; not of its being so now. Gives the function that stops listening. */
export function onceBack(act: () => void): () => void {
  let before = connection.peek();
  return connection.subscribe((now) => {
    if (now === "live" && before !== "live") act();
    before = now;
  });
}

function open(): void {
  followed?.close();
  connection.value = "connecting";
  const at = (id: string) => `/api/live?last_id=${encodeURIComponent(id)}`;
  followed = follow(
    lastId === null ? "/api/live" : at(lastId),
    {
      kinds: KINDS,
      onOpen() {
        clearTimeout(staleTimer);
        isSilent = false;
        connection.value = "live";
        hasSession.value = true;
        if (wasLost && lastId === null) tell("anew", {});
        wasLost = false;
      },
      onLost() {
        wasLost = true;
        isSilent = false;
        if (connection.value === "live" || connection.value === "connecting") {
          connection.value = "reconnecting";
          clearTimeout(staleTimer);
          staleTimer = setTimeout(() => {
            if (connection.value === "reconnecting") connection.value = "stale";
          }, STALE_MS);
        }
        void look();
      },
      onEvent(kind, data, id) {
        if (id) lastId = id;
        if (kind === "gap") tell("anew", {});
        else tell(kind as keyof Heard, data as never);
      },
    },
    at,
  );
}

/** See why the connection broke: the server is gone, or does not know us. */
async function look(): Promise<void> {
  const found = await lookForServer(SILENT_MS);
  if (connection.value === "paused") return; // who comes back to the tab connects anew
  if (found !== "there") {
    if (connection.value !== "live") connection.value = found === "gone" ? "gone" : "stale";
    return;
  }
  if (connection.value === "gone") connection.value = "reconnecting";
  await call("GET /api/runs", { query: { limit: 1 } }).catch(() => undefined); // 401 is heard by `onFailure`
}

/** See whether an open connection is more than open; one that was silent is made anew, from the last id. */
async function watch(): Promise<void> {
  if (document.hidden || isWatching || (connection.value !== "live" && !isSilent)) return;
  isWatching = true;
  const found = await lookForServer(SILENT_MS);
  isWatching = false;
  if (connection.value === "paused") return;
  if (found === "silent" && connection.value === "live") {
    isSilent = true;
    connection.value = "stale";
  } else if (found === "there" && isSilent) {
    isSilent = false;
    open();
  }
}

function pause(): void {
  followed?.close();
  followed = null;
  wasLost = true; // where nothing was heard yet there is no id to go on from
  connection.value = "paused";
}

// The dev server, where there is one: what it loaded, what does not load, which runs diverge.

import { computed, signal } from "@preact/signals";
import { call, Failure } from "../api";
import type { Attention, NotLoaded, Reload, Verdict } from "../api_types";
import { sayMany } from "../model/instants";
import { isEnded } from "../model/statuses";
import { hear } from "./live";
import { toast } from "./toasts";

export interface ServedCode {
  deployment_id: string;
  workflows: string[];
  pids: number[];
}

export interface DevStatus {
  current: ServedCode | null;
  pegged: ServedCode[];
  is_paused: boolean;
  error: NotLoaded | null;
  last_reload: Reload | null;
  nondeterministic: Verdict[];
  diverging: Verdict[];
  /** What opens a place; null: no editor was found. */
  editor: string | null;
  /** Where the files' paths begin. */
  root: string;
}

export const dev = signal<DevStatus | null>(null);
/** Null until it is known. */
export const isDev = signal<boolean | null>(null);
/** Runs that were heard to have ended: the dev server looks after its verdicts now and then only. */
const ended = signal<ReadonlySet<string>>(new Set());
/** Runs in flight that do not fit the code. */
export const diverging = computed(
  () => dev.value?.diverging.filter((verdict) => !ended.value.has(verdict.run_id)) ?? [],
);
/** The error that somebody waved away; a new one is shown again. */
export const dismissedError = signal<string | null>(null);

export const shownError = computed(() => {
  const error = dev.value?.error ?? null;
  return error && errorKey(error) !== dismissedError.value ? error : null;
});

export function errorKey(error: NotLoaded): string {
  return `${error.message}\n${error.where ?? ""}\n${error.frame ?? ""}`;
}

let isReading = false;
let isWanted = false;

/** Read its status; while that is under way, once more after it: answers overtake each other, and the last one stays. */
export async function readDev(): Promise<void> {
  isWanted = true;
  if (isReading) return;
  isReading = true;
  while (isWanted && isDev.value !== false) {
    isWanted = false;
    try {
      const { status } = await call("GET /api/dev");
      dev.value = status as unknown as DevStatus;
      isDev.value = true;
    } catch (error) {
      if (Failure.from(error).status === 404) isDev.value = false;
    }
  }
  isReading = false;
}

export function followDev(): void {
  void readDev();
  hear("anew", () => void readDev());
  hear("worker", () => void readDev());
  hear("run", (run) => {
    const isOver = isEnded(run.status) && diverging.peek().some((verdict) => verdict.run_id === run.id);
    if (isOver) ended.value = new Set([...ended.peek(), run.id]);
  });
  hear("verdict", () => void readDev());
  hear("error", (data) => toast("bad", data.message ?? data.error?.message ?? "something failed"));
  hear("reload", (reload) => {
    void readDev();
    sayReload(reload);
  });
}

/** Say a reload's verdict in words, as the dev terminal does. */
function sayReload(reload: Reload): void {
  if (reload.outcome !== "not_loaded") dismissedError.value = null;
  if (reload.outcome !== "loaded") return; // nothing new, or an overlay that says what is wrong
  const what = reload.files.length === 1 ? `${reload.files[0]} changed` : `${reload.files.length} files changed`;
  const first = reload.files.length ? `${what}: ` : "";
  const diverging = reload.diverging.length;
  const judged = reload.clean + diverging;
  const clean = `${sayMany(reload.clean, "run")} ${reload.clean === 1 ? "replays" : "replay"} clean`;
  const verdict = judged ? `; ${clean}, ${diverging} ${diverging === 1 ? "diverges" : "diverge"}` : "";
  const text = `${first}${sayMany(reload.workflows, "workflow")} loaded in ${Math.round(reload.load_ms)} ms${verdict}`;
  toast(diverging ? "warn" : "good", text, diverging ? { link: { href: "/studio/code", label: "Show them" } } : {});
}

export function wordsOf(trouble: Attention | null): string {
  if (!trouble) return "";
  if (trouble.recorded && trouble.actual) return `recorded ${trouble.recorded}, now ${trouble.actual}`;
  return trouble.message;
}

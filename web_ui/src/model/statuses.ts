// Statuses of runs, steps and attempts: each has a word, a mark (never colour alone) and a tone.

import type { AttentionView, RunView } from "../api_types";

export type Tone = "idle" | "active" | "good" | "bad" | "warn" | "off";
export type Mark = "dots" | "spin" | "check" | "cross" | "bang" | "bar" | "pause" | "clock";

export interface StatusLook {
  label: string;
  tone: Tone;
  mark: Mark;
}

const LOOKS: Record<string, StatusLook> = {
  pending: { label: "pending", tone: "idle", mark: "dots" },
  queued: { label: "queued", tone: "idle", mark: "dots" },
  running: { label: "running", tone: "active", mark: "spin" },
  retrying: { label: "retrying", tone: "warn", mark: "clock" },
  waiting: { label: "waiting", tone: "active", mark: "pause" },
  completed: { label: "completed", tone: "good", mark: "check" },
  failed: { label: "failed", tone: "bad", mark: "cross" },
  cancelled: { label: "cancelled", tone: "off", mark: "bar" },
  abandoned: { label: "abandoned", tone: "off", mark: "bar" },
  lost: { label: "lost", tone: "bad", mark: "bang" },
  attention: { label: "attention", tone: "warn", mark: "bang" },
};

export const RUN_STATUSES = ["pending", "running", "completed", "failed", "cancelled"] as const;
export const ENDED: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

export function lookOf(status: string): StatusLook {
  return LOOKS[status] ?? { label: status, tone: "idle", mark: "dots" };
}

/** Give what a list shows of a run: one that rests is `waiting`, one whose code does not fit asks for attention. */
export function lookOfRun(run: Pick<RunView, "status" | "reason" | "attention">): StatusLook {
  if (run.attention) return { ...lookOf("attention"), label: run.status };
  if (run.status === "running" && run.reason) return { ...lookOf("waiting"), label: "running" };
  return lookOf(run.status);
}

export function isEnded(status: string): boolean {
  return ENDED.has(status);
}

const ATTENTIONS: Partial<Record<AttentionView["code"], string>> = {
  BLOCKED: "its code runs on without waiting",
  DEAD_LETTER: "its code ended its worker",
  DECRYPTION: "it cannot be read",
};

/** Say what is the matter with a run that asks for attention. */
export function wordsOfAttention(code: AttentionView["code"]): string {
  return ATTENTIONS[code] ?? "its code does not fit its log";
}

/** Give the places in code that an attention names, outermost first: of a body that was interrupted its stack. */
export function placesOfAttention(attention: Pick<AttentionView, "code" | "actual" | "where">): string[] {
  const stack = attention.code === "BLOCKED" ? (attention.actual ?? "").split("\n").filter(Boolean) : [];
  return stack.length || !attention.where ? stack : [attention.where];
}

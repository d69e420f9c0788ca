// The filter bar's language: `status:failed workflow:create_site attr:tenant=acme after:1h words`.
//
// 1. A text and its filter say the same: `writeFilter(readFilter(text))` is the text, tidied.
// 2. What the language does not know is a problem that is shown, never silently a search for it.

import type { Queries, RunView } from "../api_types";
import { readDuration } from "./instants";
import { RUN_STATUSES } from "./statuses";

export interface RunFilter {
  statuses: string[];
  workflow: string | null;
  attributes: [string, string][];
  after: string | null;
  before: string | null;
  words: string[];
}

export interface ReadFilter {
  filter: RunFilter;
  problems: string[];
}

export const KEYS = ["status", "workflow", "attr", "after", "before"] as const;
export const NO_FILTER: RunFilter = {
  statuses: [],
  workflow: null,
  attributes: [],
  after: null,
  before: null,
  words: [],
};

export function readFilter(text: string): ReadFilter {
  const filter: RunFilter = { ...NO_FILTER, statuses: [], attributes: [], words: [] };
  const problems: string[] = [];
  for (const token of splitTokens(text)) {
    const at = token.indexOf(":");
    const key = at > 0 ? token.slice(0, at) : "";
    const value = at > 0 ? token.slice(at + 1) : "";
    if (!(KEYS as readonly string[]).includes(key)) {
      filter.words.push(token);
    } else if (value === "") {
      problems.push(`${key}: has no value yet`);
    } else if (key === "status") {
      for (const status of value.split(",")) {
        if ((RUN_STATUSES as readonly string[]).includes(status)) filter.statuses.push(status);
        else problems.push(`no status is called ${status}; there are ${RUN_STATUSES.join(", ")}`);
      }
    } else if (key === "workflow") {
      filter.workflow = value;
    } else if (key === "attr") {
      const equals = value.indexOf("=");
      if (equals > 0) filter.attributes.push([value.slice(0, equals), value.slice(equals + 1)]);
      else problems.push(`attr:${value} is not like attr:key=value`);
    } else if (readMoment(value) === null) {
      problems.push(`${key}:${value} is no time; write 1h, 2d or 2026-01-02T03:04:05Z`);
    } else if (key === "after") {
      filter.after = value;
    } else {
      filter.before = value;
    }
  }
  return { filter, problems };
}

export function writeFilter(filter: RunFilter): string {
  const parts = [
    ...(filter.statuses.length ? [`status:${filter.statuses.join(",")}`] : []),
    ...(filter.workflow ? [`workflow:${quote(filter.workflow)}`] : []),
    ...filter.attributes.map(([key, value]) => `attr:${quote(`${key}=${value}`)}`),
    ...(filter.after ? [`after:${filter.after}`] : []),
    ...(filter.before ? [`before:${filter.before}`] : []),
    ...filter.words.map(quote),
  ];
  return parts.join(" ");
}

/** Give what the server is asked; words are looked for here, in what it gives. */
export function askFor(filter: RunFilter): NonNullable<Queries["GET /api/runs"]> {
  return {
    ...(filter.statuses.length ? { status: filter.statuses } : {}),
    ...(filter.workflow ? { workflow: filter.workflow } : {}),
    ...(filter.attributes.length ? { attr: filter.attributes.map(([key, value]) => `${key}=${value}`) } : {}),
    ...(filter.after ? { since: filter.after } : {}),
    ...(filter.before ? { until: filter.before } : {}),
  };
}

/** Tell whether a run that just changed belongs in the list. */
export function fits(run: RunView, filter: RunFilter, nowMs: number): boolean {
  const created = Date.parse(run.created_at);
  const after = filter.after === null ? null : readMoment(filter.after, nowMs);
  const before = filter.before === null ? null : readMoment(filter.before, nowMs);
  return (
    (filter.statuses.length === 0 || filter.statuses.includes(run.status)) &&
    (filter.workflow === null || isWorkflow(run.workflow, filter.workflow)) &&
    filter.attributes.every(([key, value]) => run.attributes[key] === value) &&
    (after === null || created >= after) &&
    (before === null || created < before) &&
    hasWords(run, filter.words)
  );
}

/** Tell whether a run shows all the words, in its id, workflow, reason, attributes, or the type of its error. */
export function hasWords(run: RunView, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const attributes = Object.entries(run.attributes).map(([key, value]) => `${key}=${value}`);
  const shown = [run.id, run.workflow, run.status, run.reason ?? "", run.error?.type ?? "", ...attributes];
  const text = shown.join("\n").toLowerCase();
  return words.every((word) => text.includes(word.toLowerCase()));
}

/** A workflow is asked for by its id (`shop:fulfil`) or by its short name. */
function isWorkflow(id: string, asked: string): boolean {
  return id === asked || id.slice(id.indexOf(":") + 1) === asked || id.split(/[:.]/).at(-1) === asked;
}

/** Read a moment: a duration before now, or an instant with its zone. Milliseconds; null where it is none. */
export function readMoment(text: string, nowMs: number = Date.now()): number | null {
  const ago = readDuration(text);
  if (ago !== null) return nowMs - ago;
  const at = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

export interface Completion {
  text: string;
  label: string;
  hint: string;
}

/** Offer what may stand where the caret is: keys, statuses, workflows, attributes that were seen. */
export function complete(
  text: string,
  caret: number,
  known: { workflows: readonly string[]; attributes: readonly string[] },
): { from: number; items: Completion[] } {
  const before = text.slice(0, caret);
  const from = before.lastIndexOf(" ") + 1;
  const word = before.slice(from);
  const offer = (key: string, values: readonly string[], hint: string): Completion[] =>
    values
      .filter((value) => `${key}:${value}`.startsWith(word) || value.startsWith(word.slice(key.length + 1)))
      .map((value) => ({ text: `${key}:${quote(value)}`, label: `${key}:${value}`, hint }));
  const at = word.indexOf(":");
  const key = at > 0 ? word.slice(0, at) : "";
  if (key === "status") return { from, items: offer("status", RUN_STATUSES, "") };
  if (key === "workflow") return { from, items: offer("workflow", known.workflows, "").slice(0, 12) };
  if (key === "attr") return { from, items: offer("attr", known.attributes, "").slice(0, 12) };
  if (key === "after") return { from, items: offer("after", ["15m", "1h", "24h", "7d"], "created in the last …") };
  if (key === "before")
    return { from, items: offer("before", ["15m", "1h", "24h", "7d"], "created earlier than … ago") };
  if (at >= 0) return { from, items: [] };
  const hints: Record<string, string> = {
    status: "pending, running, completed, failed, cancelled",
    workflow: "an id or a short name",
    attr: "key=value",
    after: "created since: 1h, or an instant",
    before: "created before: 1h ago, or an instant",
  };
  const keys = KEYS.filter((one) => one.startsWith(word)).map((one) => ({
    text: `${one}:`,
    label: `${one}:`,
    hint: hints[one]!,
  }));
  return { from, items: keys };
}

/** Split at blanks, but not within double quotes, which are dropped. */
function splitTokens(text: string): string[] {
  const found: string[] = [];
  let token = "";
  let isQuoted = false;
  let isThere = false;
  for (const letter of text) {
    if (letter === '"') {
      isQuoted = !isQuoted;
      isThere = true;
    } else if (/\s/.test(letter) && !isQuoted) {
      if (isThere) found.push(token);
      token = "";
      isThere = false;
    } else {
      token += letter;
      isThere = true;
    }
  }
  if (isThere) found.push(token);
  return found.filter((one) => one !== "");
}

function quote(text: string): string {
  return /\s/.test(text) ? `"${text}"` : text;
}

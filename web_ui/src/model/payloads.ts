// Payloads as rows of a tree: only what is open is there, so that a large one costs what is looked at.

import { showBytes } from "./instants";
import { printable } from "./printable";

export interface PayloadRow {
  path: string;
  depth: number;
  label: string | null;
  kind: "object" | "array" | "string" | "number" | "boolean" | "null" | "bytes" | "large" | "more";
  /** A scalar's text, or what a closed object says of itself. */
  text: string;
  isOpen: boolean | null;
  value: unknown;
}

export const SHOWN_CHILDREN = 100;
const SHOWN_TEXT = 2000;

/** List the rows of a value. `isOpen` says which paths are open; `shown` how many children of a path are. */
export function listRows(
  value: unknown,
  isOpen: (path: string, depth: number) => boolean,
  shown: (path: string) => number = () => SHOWN_CHILDREN,
): PayloadRow[] {
  const rows: PayloadRow[] = [];
  walk(value, "$", null, 0);
  return rows;

  function walk(one: unknown, path: string, name: string | null, depth: number): void {
    const kind = kindOf(one);
    const label = name === null ? null : printable(name);
    if (kind !== "object" && kind !== "array") {
      rows.push({ path, depth, label, kind, text: textOf(one, kind), isOpen: null, value: one });
      return;
    }
    const entries: [string, unknown][] =
      kind === "array"
        ? (one as unknown[]).map((item, index) => [String(index), item])
        : Object.entries(one as Record<string, unknown>);
    const open = entries.length > 0 && isOpen(path, depth);
    rows.push({
      path,
      depth,
      label,
      kind,
      text: summarize(one, kind, entries.length),
      isOpen: entries.length > 0 ? open : null,
      value: one,
    });
    if (!open) return;
    const most = shown(path);
    for (const [key, item] of entries.slice(0, most)) walk(item, `${path}/${key}`, key, depth + 1);
    if (entries.length > most) {
      const text = `${entries.length - most} more`;
      rows.push({ path: `${path}/…`, depth: depth + 1, label: null, kind: "more", text, isOpen: null, value: path });
    }
  }
}

export function kindOf(value: unknown): PayloadRow["kind"] {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "object") {
    const names = Object.keys(value);
    if (names.length === 1 && names[0] === "$bytes") return "bytes";
    if (names.length === 1 && names[0] === "$large") return "large";
    return "object";
  }
  return typeof value as "string" | "number" | "boolean";
}

function textOf(value: unknown, kind: PayloadRow["kind"]): string {
  if (kind === "bytes") {
    const text = String((value as { $bytes: unknown }).$bytes);
    return `${Math.floor((text.replace(/=+$/, "").length * 3) / 4)} bytes`;
  }
  if (kind === "large") return `${showBytes(Number((value as { $large: unknown }).$large))}, not loaded`;
  if (kind !== "string") return String(value);
  const text = value as string;
  return printable(JSON.stringify(text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)}…` : text));
}

function summarize(value: unknown, kind: "object" | "array", count: number): string {
  if (kind === "array") return count === 0 ? "[]" : `[${count}]`;
  if (count === 0) return "{}";
  const names = Object.keys(value as object);
  const text = printable(names.slice(0, 5).join(", "));
  return `{${text.length > 60 ? `${text.slice(0, 60)}…` : text}${names.length > 5 ? ", …" : ""}}`;
}

/** Write a payload on one line, cut at `most` characters: what a table's cell shows. */
export function showInline(value: unknown, most = 120): string {
  if (value === undefined) return "";
  let text: string;
  const kind = kindOf(value);
  if (kind === "bytes" || kind === "large") text = textOf(value, kind);
  else text = JSON.stringify(value) ?? "";
  return printable(text.length > most ? `${text.slice(0, most)}…` : text);
}

/** Tell whether a value reads well as a table, and give its columns: a list of objects that share names. */
export function tableColumns(value: unknown): string[] | null {
  if (!Array.isArray(value) || value.length === 0 || !value.every((one) => kindOf(one) === "object")) return null;
  const counts = new Map<string, number>();
  for (const one of value.slice(0, 200))
    for (const name of Object.keys(one)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const columns = [...counts.keys()];
  return columns.length <= 24 ? columns : null;
}

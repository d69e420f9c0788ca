/**
 * Words of a trace as small numbers, so that a hundred thousand spans are columns of bytes.
 *
 * A server of a later version may say words that are not in these lists: they get numbers of their own, are
 * shown as they are, and drawn like the first of their list.
 */

import { printable } from "./printable";

export const KINDS = ["step", "run", "operation", "sleep", "deadline", "hook", "lock", "child", "watch"] as const;
export const STATUSES = [
  "running",
  "pending",
  "queued",
  "retrying",
  "waiting",
  "received",
  "held",
  "completed",
  "disposed",
  "released",
  "failed",
  "conflict",
  "cancelled",
  "abandoned",
] as const;
export const SEGMENT_KINDS = ["running", "queued", "retry_wait", "waiting", "open", "held"] as const;
export const OUTCOMES = ["", "completed", "failed", "cancelled", "lost", "abandoned"] as const;

export type SpanKind = (typeof KINDS)[number];
export type SpanStatus = (typeof STATUSES)[number];
export type SegmentKind = (typeof SEGMENT_KINDS)[number];
export type Outcome = (typeof OUTCOMES)[number];

/** Texts ⇄ numbers, in order of first use. */
export class Words {
  private readonly texts: string[];
  private readonly codes = new Map<string, number>();

  constructor(known: readonly string[] = []) {
    this.texts = [...known];
    known.forEach((text, code) => {
      this.codes.set(text, code);
    });
  }

  get count(): number {
    return this.texts.length;
  }

  encode(text: string): number {
    const known = this.codes.get(text);
    if (known !== undefined) return known;
    const code = this.texts.length;
    this.texts.push(text);
    this.codes.set(text, code);
    return code;
  }

  decode(code: number): string {
    return this.texts[code] ?? "";
  }
}

const NAMED_BY_MODULE = new Set(["run", "step", "operation", "child", "hook"]);

/**
 * A call's name as rows have it: `charge` of `shop.orders:charge`, since the module is in the details and rows are
 * narrow. A lock's name is the program's own, and whole: `stock:eu` is not `eu`.
 */
export function callName(kind: string, name: string): string {
  return printable(NAMED_BY_MODULE.has(kind) ? name.slice(name.lastIndexOf(":") + 1) : name);
}

const WORK = new Set(["step", "run", "operation", "child"]);
const WORK_CODES = Uint8Array.from(KINDS, (kind) => (WORK.has(kind) ? 1 : 0));
const FAILURE_CODES = Uint8Array.from(STATUSES, (status) => (isFailure(status) ? 1 : 0));

/** Whether calls of a kind do something, rather than wait for it. Takes the kind's number. */
export function isWorkCode(kind: number): boolean {
  return WORK_CODES[kind] === 1;
}

/** `isFailure` of a status's number. */
export function isFailureCode(status: number): boolean {
  return FAILURE_CODES[status] === 1;
}

export function isFailure(status: string): boolean {
  return status === "failed" || status === "conflict";
}

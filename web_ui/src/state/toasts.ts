// Toasts: short words about what was just done. They go by themselves, but for failures, which wait to be read.

import { signal } from "@preact/signals";
import { Failure } from "../api";

export interface Toast {
  id: number;
  tone: "good" | "bad" | "info" | "warn";
  text: string;
  more: string | null;
  link: { href: string; label: string } | null;
}

export const toasts = signal<readonly Toast[]>([]);

const SHOWN_MS = 5000;
const MOST = 4;
let lastId = 0;

export function toast(
  tone: Toast["tone"],
  text: string,
  options: { more?: string | null; link?: Toast["link"] } = {},
): void {
  const id = ++lastId;
  toasts.value = [...toasts.value, { id, tone, text, more: options.more ?? null, link: options.link ?? null }].slice(
    -MOST,
  );
  if (tone !== "bad") setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function toastFailure(error: unknown): void {
  const failure = Failure.from(error);
  toast("bad", failure.message, { more: failure.hint });
}

// What this browser remembers between visits: small things, under `wf.` in its local storage.

import { effect, type Signal, signal } from "@preact/signals";

export function remember<T>(name: string, value: T): void {
  try {
    localStorage.setItem(`wf.${name}`, JSON.stringify(value));
  } catch {
    // Storage is full or forbidden: then nothing is remembered.
  }
}

export function recall<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`wf.${name}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

/** A signal that is remembered whenever it changes. */
export function keptSignal<T>(name: string, fallback: T): Signal<T> {
  const kept = signal(recall(name, fallback));
  effect(() => remember(name, kept.value));
  return kept;
}

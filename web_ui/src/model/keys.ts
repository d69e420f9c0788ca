// Keys: sequences like `g r`, single keys, and chords with Mod (Ctrl, or Command on a Mac).
//
// A key does nothing while somebody types in a field, unless it is a chord with Mod or Escape.

export interface Binding {
  /** Empty: it has no key, and is found in the palette only. */
  keys: string;
  label: string;
  group: string;
  run: () => void;
}

/** Write a keyboard event as a binding writes it: `k`, `?`, `Mod-K`, `Enter`, `Shift-ArrowDown`. */
export function nameOf(event: {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}): string {
  const isLetter = event.key.length === 1;
  const parts: string[] = [];
  if (event.ctrlKey || event.metaKey) parts.push("Mod");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && !isLetter) parts.push("Shift");
  const key = event.key === " " ? "Space" : event.key;
  parts.push(parts.includes("Mod") && isLetter ? key.toUpperCase() : key);
  return parts.join("-");
}

/** Follows what is pressed, one key at a time. */
export class Sequence {
  private pressed: string[] = [];
  private lastMs = 0;

  constructor(private readonly patienceMs = 1200) {}

  /** Give the binding that is complete now, if any; `isWaiting` says that one may become complete. */
  press(key: string, bindings: readonly Binding[], nowMs: number): { binding: Binding | null; isWaiting: boolean } {
    if (nowMs - this.lastMs > this.patienceMs) this.pressed = [];
    this.lastMs = nowMs;
    for (const tried of [[...this.pressed, key], [key]]) {
      const text = tried.join(" ");
      const binding = bindings.find((one) => one.keys === text);
      if (binding) {
        this.pressed = [];
        return { binding, isWaiting: false };
      }
      if (bindings.some((one) => one.keys.startsWith(`${text} `))) {
        this.pressed = tried;
        return { binding: null, isWaiting: true };
      }
    }
    this.pressed = [];
    return { binding: null, isWaiting: false };
  }
}

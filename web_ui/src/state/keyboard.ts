// The keyboard: bindings that hold everywhere, and those of the screen that is shown.

import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { type Binding, nameOf, Sequence } from "../model/keys";

const layers = signal<readonly (readonly Binding[])[]>([]);
export const isWaitingForKey = signal(false);

/** Hold these bindings while the component is there; the newest layer wins. They are new before the next key comes. */
export function useKeys(bindings: readonly Binding[], deps: readonly unknown[]): void {
  useLayoutEffect(() => {
    layers.value = [...layers.peek(), bindings];
    return () => {
      layers.value = layers.peek().filter((one) => one !== bindings);
    };
  }, deps);
}

export function listBindings(): Binding[] {
  return [...layers.value].reverse().flat();
}

const sequence = new Sequence();

export function followKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    const name = nameOf(event);
    if (isTyping(event.target) && !name.startsWith("Mod-") && name !== "Escape") return;
    if (isOnControl(event.target) && (name === "Enter" || name === "Space")) return;
    if (document.querySelector("dialog[open]")) return; // a dialog's keys are its own
    const { binding, isWaiting } = sequence.press(name, listBindings(), Date.now());
    isWaitingForKey.value = isWaiting;
    if (!binding) return;
    event.preventDefault();
    binding.run();
  });
}

function isTyping(target: EventTarget | null): boolean {
  const element = deepest(target);
  if (!(element instanceof HTMLElement)) return false;
  if (element.isContentEditable || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement)
    return true;
  return (
    element instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "range"].includes(element.type)
  );
}

function isOnControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a[href], summary, [role=tab]") !== null;
}

/** An editor lives in a shadow root: events there seem to come from its host. */
function deepest(target: EventTarget | null): EventTarget | null {
  let found = target;
  while (found instanceof HTMLElement && found.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found;
}

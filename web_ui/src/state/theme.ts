// The theme: dark, light, or what the system says.

import { effect } from "@preact/signals";
import { keptSignal } from "./kept";

export type Theme = "system" | "light" | "dark";

export const theme = keptSignal<Theme>("theme", "system");

export function followTheme(): void {
  effect(() => {
    if (theme.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
  });
}

export function nextTheme(): void {
  theme.value = theme.value === "system" ? "light" : theme.value === "light" ? "dark" : "system";
}

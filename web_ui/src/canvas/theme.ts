/** The painter's colours and fonts, read from CSS variables (`--tl-…`), so that themes live in stylesheets only. */

export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly faint: string;
  readonly grid: string;
  readonly gridStrong: string;
  readonly ground: string;
  readonly panel: string;
  readonly hover: string;
  readonly selected: string;
  readonly accent: string;
  readonly onBar: string;
  readonly work: string;
  readonly failed: string;
  readonly retry: string;
  readonly waiting: string;
  readonly held: string;
  readonly queued: string;
  readonly off: string;
  readonly match: string;
  readonly breakGround: string;
  readonly font: string;
  readonly smallFont: string;
  readonly boldFont: string;
}

const NAMES = {
  ink: "--tl-ink",
  muted: "--tl-muted",
  faint: "--tl-faint",
  grid: "--tl-grid",
  gridStrong: "--tl-grid-strong",
  ground: "--tl-ground",
  panel: "--tl-panel",
  hover: "--tl-hover",
  selected: "--tl-selected",
  accent: "--tl-accent",
  onBar: "--tl-on-bar",
  work: "--tl-work",
  failed: "--tl-failed",
  retry: "--tl-retry",
  waiting: "--tl-waiting",
  held: "--tl-held",
  queued: "--tl-queued",
  off: "--tl-off",
  match: "--tl-match",
  breakGround: "--tl-break",
} as const;

export function readTheme(element: Element): Theme {
  const family = getComputedStyle(element).fontFamily || "system-ui, sans-serif";
  // A custom property is only text to the browser (`light-dark(…)`, `var(…)`); used as a colour it is resolved.
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const style = getComputedStyle(probe);
  const resolve = (variable: string): string => {
    probe.style.color = `var(${variable}, #888)`;
    return style.color;
  };
  const colours = Object.fromEntries(Object.entries(NAMES).map(([name, variable]) => [name, resolve(variable)]));
  probe.remove();
  return {
    ...(colours as Record<keyof typeof NAMES, string>),
    font: `12px ${family}`,
    smallFont: `11px ${family}`,
    boldFont: `600 12px ${family}`,
  };
}

/** Call when the theme may be another: the system's changed, or an attribute of the page did. Gives the undoing. */
export function watchTheme(changed: () => void): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const contrast = matchMedia("(prefers-contrast: more)");
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "data-theme"] });
  dark.addEventListener("change", changed);
  contrast.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", changed);
    contrast.removeEventListener("change", changed);
  };
}

// Places: what a URL shows. Everything that somebody might send to somebody else is in it.
//
// The server gives the page at `/`, `/runs`, `/runs/…` and `/studio/…`; `/hooks/…` are webhooks.

export type Screen = "runs" | "run" | "workflows" | "hooks" | "query" | "compare" | "code" | "overview";

export interface Place {
  screen: Screen;
  /** The run's id, where the screen is a run. */
  runId: string | null;
  params: URLSearchParams;
}

export const SCREENS: readonly Screen[] = ["overview", "workflows", "hooks", "query", "compare", "code"];

export function readPlace(pathname: string, search: string): Place | null {
  const params = new URLSearchParams(search);
  const parts = pathname.split("/").slice(1);
  if (pathname === "/" || pathname === "/runs" || pathname === "/runs/") return { screen: "runs", runId: null, params };
  if (parts[0] === "runs") {
    try {
      return { screen: "run", runId: parts.slice(1).map(decodeURIComponent).join("/"), params };
    } catch {
      return null;
    }
  }
  const screen = parts[0] === "studio" && parts.length === 2 ? SCREENS.find((one) => one === parts[1]) : undefined;
  return screen ? { screen, runId: null, params } : null;
}

/** Write the URL of a place. Params that are null or empty are left out. */
export function placeOf(
  screen: Screen,
  params: Record<string, string | null | undefined> = {},
  runId?: string,
): string {
  const path =
    screen === "run" ? `/runs/${encodeURIComponent(runId!)}` : screen === "runs" ? "/runs" : `/studio/${screen}`;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, value);
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

export function runPlace(runId: string, params: Record<string, string | null | undefined> = {}): string {
  return placeOf("run", params, runId);
}

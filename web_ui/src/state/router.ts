// Where the studio is: the URL, as a signal. Whoever wants to be elsewhere says so here.

import { signal } from "@preact/signals";
import { type Place, readPlace } from "../model/places";

export const place = signal<Place | null>(readPlace(location.pathname, location.search));

export function go(url: string, options: { replaces?: boolean } = {}): void {
  if (url === location.pathname + location.search) return;
  if (options.replaces) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  place.value = readPlace(location.pathname, location.search);
  if (!options.replaces) window.scrollTo(0, 0);
}

/** Change params of this place; null removes one. A selection replaces, so that Back leaves the screen. */
export function setParams(changes: Record<string, string | null>, options: { pushes?: boolean } = {}): void {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  const search = params.toString();
  go(search ? `${location.pathname}?${search}` : location.pathname, { replaces: !options.pushes });
}

export function followHistory(): void {
  addEventListener("popstate", () => {
    place.value = readPlace(location.pathname, location.search);
  });
}

// A pulse: what the feed does not tell is looked at now and then. The feed says when a run's status changes, not
// when its log grows; so what shows more than statuses asks again while somebody looks.

import { useEffect, useRef } from "preact/hooks";
import { connection } from "./live";

/** Call `beat` every so many milliseconds while the page is looked at and the server is there; null: not at all. */
export function usePulse(everyMs: number | null, beat: () => void): void {
  const latest = useRef(beat);
  latest.current = beat;
  useEffect(() => {
    if (everyMs === null) return;
    const timer = setInterval(() => {
      if (!document.hidden && connection.peek() === "live") latest.current();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

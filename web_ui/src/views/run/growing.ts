// What is made of a run's spans, made anew as they grow: soon where it costs little, seldom where it costs much.

import { useEffect, useMemo, useReducer } from "preact/hooks";
import type { LiveTrace } from "../../model/live_trace";

const SOONEST_MS = 200;
/** Of a core's time at most a fifth goes into it. */
const SHARE = 4;

export function useGrowing<T>(trace: LiveTrace, show: (trace: LiveTrace) => T): T {
  const [turn, redraw] = useReducer((now: number, _: undefined) => now + 1, 0);
  const { shown, tookMs, version } = useMemo(() => {
    const began = performance.now();
    const made = show(trace);
    return { shown: made, tookMs: performance.now() - began, version: trace.table.version };
  }, [trace, turn]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = () => {
      timer ??= setTimeout(() => redraw(undefined), Math.max(SOONEST_MS, tookMs * SHARE));
    };
    const stop = trace.onChange(later);
    if (trace.table.version !== version) later();
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [trace, turn]);
  return shown;
}

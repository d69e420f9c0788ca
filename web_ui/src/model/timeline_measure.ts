/** Measuring: what lies between two instants. */

import type { Scene } from "./timeline_scene";
import { RUN } from "./timeline_spans";

export interface Measure {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Measured {
  readonly lengthMs: number;
  /** Calls that were under way then. */
  readonly calls: number;
  readonly failed: number;
  /** How long attempts ran within it, all together: more than the length where they ran side by side. */
  readonly busyMs: number;
}

export function measure(scene: Scene, range: Measure, nowMs: number): Measured {
  const startMs = Math.min(range.startMs, range.endMs);
  const endMs = Math.max(range.startMs, range.endMs);
  let calls = 0;
  let failed = 0;
  let busyMs = 0;
  for (const { table, shiftMs } of scene.tracks()) {
    const fromMs = startMs - shiftMs;
    const toMs = endMs - shiftMs;
    const running = table.segmentKinds.encode("running");
    const failedOutcome = table.outcomes.encode("failed");
    for (let span = RUN + 1; span < table.count; span++) {
      const reachMs = table.reachMs(span, nowMs - shiftMs);
      if (table.startMs[span]! > toMs || reachMs < fromMs) continue;
      calls++;
      for (let at = table.firstSegment[span]!; at >= 0; at = table.nextSegment[at]!) {
        if (table.segmentKind[at] !== running) continue;
        const segmentEndMs = Math.min(table.segmentEndMs[at]!, reachMs);
        const overlapMs = Math.min(segmentEndMs, toMs) - Math.max(table.segmentStartMs[at]!, fromMs);
        if (overlapMs > 0) busyMs += overlapMs;
        if (table.segmentOutcome[at] === failedOutcome && segmentEndMs >= fromMs && segmentEndMs <= toMs) failed++;
      }
    }
  }
  return { lengthMs: endMs - startMs, calls, failed, busyMs };
}

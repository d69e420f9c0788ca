// Calls of a timeline in words: for the tip, the table, and whoever listens.

import type { Chart } from "../../canvas/chart";
import { showDuration } from "../../model/instants";
import type { SpanAt } from "../../model/timeline_scene";
import { OPEN, RUN, segmentsOf } from "../../model/timeline_spans";
import { callName } from "../../model/timeline_words";

/** Of a call that goes on nothing that grows with time: who listens would hear it again and again. */
export function sayCall({ track, span }: SpanAt): string {
  const { table, shiftMs } = track;
  const attempts = table.attempts[span]!;
  const parts = [callName(table.kindOf(span), table.nameOf(span)), table.kindOf(span), table.statusOf(span)];
  if (span !== RUN && attempts > 1) parts.push(`${attempts} attempts`);
  if (table.endMs[span] !== OPEN) parts.push(`took ${showDuration(table.endMs[span]! - table.startMs[span]!)}`);
  parts.push(`from ${showDuration(table.startMs[span]! + shiftMs)}`);
  const error = table.errorTypes.get(span);
  if (error !== undefined) parts.push(error);
  return parts.join(", ");
}

export interface SegmentSaying {
  readonly what: string;
  readonly took: string;
  readonly outcome: string;
}

const WORDS: Record<string, string> = {
  queued: "queued",
  retry_wait: "wait before the next attempt",
  waiting: "waiting",
  open: "had a payload",
  held: "held",
};

/** A call's segments; of many the first and the last few. */
export function saySegments(chart: Chart, { track, span }: SpanAt): SegmentSaying[] {
  const { table, shiftMs } = track;
  const all = [...segmentsOf(table, span)];
  const shown = all.length > 9 ? [...all.slice(0, 4), -1, ...all.slice(-4)] : all;
  return shown.map((segment) => {
    if (segment === -1) return { what: `${all.length - 8} more`, took: "", outcome: "" };
    const kind = table.segmentKinds.decode(table.segmentKind[segment]!);
    const endMs = table.segmentEndMs[segment]!;
    const reachMs = endMs === OPEN ? chart.nowMs - shiftMs : endMs;
    const what =
      kind === "running" && span !== RUN ? `attempt ${table.segmentAttempt[segment]}` : (WORDS[kind] ?? kind);
    const outcome = table.outcomes.decode(table.segmentOutcome[segment]!);
    return {
      what,
      took: showDuration(reachMs - table.segmentStartMs[segment]!),
      outcome: outcome || (endMs === OPEN ? "goes on" : ""),
    };
  });
}

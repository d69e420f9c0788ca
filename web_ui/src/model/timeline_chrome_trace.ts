/**
 * A timeline in Chrome's trace format, for Perfetto and `chrome://tracing`.
 *
 * Each run is a process. Its calls are packed into threads, since slices of a thread must not overlap; a call's
 * segments are slices within it, unless it is one attempt that succeeded. Times are microseconds since the outermost run was created. What has not ended is
 * a `B` without an `E`, which both readers draw up to the end. Format: "Trace Event Format" of the Chromium project.
 */

import { Packing } from "./timeline_lanes";
import type { Scene, Track } from "./timeline_scene";
import { NONE, OPEN, RUN, segmentsOf } from "./timeline_spans";
import { callName } from "./timeline_words";

export interface ChromeEvent {
  readonly ph: "X" | "B" | "i" | "M";
  readonly name: string;
  readonly cat?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly s?: "t" | "p";
  readonly args: Record<string, unknown>;
}

export interface ChromeTrace {
  readonly traceEvents: readonly ChromeEvent[];
  readonly displayTimeUnit: "ms";
  readonly metadata: Record<string, unknown>;
}

const RUN_THREAD = 1;

export function makeChromeTrace(scene: Scene): ChromeTrace {
  const traceEvents: ChromeEvent[] = [];
  let pid = 0;
  for (const track of scene.tracks()) addTrack(traceEvents, track, ++pid);
  const { table } = scene.root;
  return {
    traceEvents,
    displayTimeUnit: "ms",
    metadata: { source: "wf", run_id: table.runId, workflow: table.nameOf(RUN), created_at: table.at },
  };
}

function addTrack(events: ChromeEvent[], track: Track, pid: number): void {
  const { table, shiftMs } = track;
  const packing = new Packing(table, true);
  packing.extend();
  const title = `${table.nameOf(RUN)} ${table.runId}`;
  events.push({ ph: "M", name: "process_name", pid, tid: 0, args: { name: title } });
  events.push({ ph: "M", name: "process_sort_index", pid, tid: 0, args: { sort_index: pid } });
  events.push({ ph: "M", name: "thread_name", pid, tid: RUN_THREAD, args: { name: "run" } });
  for (let span = 0; span < table.count; span++) {
    const tid = RUN_THREAD + packing.laneOfSpan[span]!.at;
    addSpan(events, track, span, pid, tid);
  }
  for (const marker of table.markers) {
    const span = table.findId(marker.span_id);
    const tid = span === NONE ? RUN_THREAD : RUN_THREAD + packing.laneOfSpan[span]!.at;
    const args = { span_id: marker.span_id, at: marker.at, ...marker.data };
    events.push({
      ph: "i",
      name: marker.kind,
      cat: "marker",
      pid,
      tid,
      ts: toUs(marker.at_ms + shiftMs),
      s: "t",
      args,
    });
  }
}

function addSpan(events: ChromeEvent[], track: Track, span: number, pid: number, tid: number): void {
  const { table, shiftMs } = track;
  const slice = (name: string, cat: string, startMs: number, endMs: number, args: ChromeEvent["args"]): void => {
    const ts = toUs(startMs + shiftMs);
    const at = { name, cat, pid, tid, ts, args };
    events.push(endMs === OPEN ? { ph: "B", ...at } : { ph: "X", ...at, dur: toUs(endMs + shiftMs) - ts });
  };
  const name = table.nameOf(span);
  slice(
    callName(table.kindOf(span), name),
    table.kindOf(span),
    table.startMs[span]!,
    table.endMs[span]!,
    argsOf(track, span),
  );
  // A call that succeeded at once is its only attempt: a second slice of the same length would say nothing.
  const isSimple = table.attempts[span] === 1 && table.firstSegment[span] === table.lastSegment[span];
  if (isSimple) return;
  const id = table.idOf(span);
  for (const segment of segmentsOf(table, span)) {
    const kind = table.segmentKinds.decode(table.segmentKind[segment]!);
    const attempt = table.segmentAttempt[segment]!;
    const outcome = table.outcomes.decode(table.segmentOutcome[segment]!) || null;
    slice(
      attempt === NONE ? kind.replace("_", " ") : `attempt ${attempt}`,
      `segment,${kind}`,
      table.segmentStartMs[segment]!,
      table.segmentEndMs[segment]!,
      { span_id: id, ...(attempt === NONE ? {} : { attempt, outcome }) },
    );
  }
}

function argsOf({ table }: Track, span: number): Record<string, unknown> {
  const endSeq = table.endSeq[span]!;
  const args: Record<string, unknown> = {
    id: table.idOf(span),
    full_name: table.nameOf(span),
    status: table.statusOf(span),
    seq: table.beginSeq[span]!,
  };
  if (endSeq !== NONE) args.end_seq = endSeq;
  if (span !== RUN && table.attempts[span]! > 0) args.attempts = table.attempts[span]!;
  if (table.childRunIds.has(span)) args.child_run_id = table.childRunIds.get(span);
  if (table.errorTypes.has(span)) args.error_type = table.errorTypes.get(span);
  if (table.errorCodes.has(span)) args.error_code = table.errorCodes.get(span);
  return args;
}

/** Instants of a log are whole microseconds. */
function toUs(ms: number): number {
  return Math.round(ms * 1000);
}

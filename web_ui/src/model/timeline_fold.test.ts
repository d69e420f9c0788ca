// The fold against the server: whatever was recorded, folding the rest of a log into a trace of its beginning gives
// the trace that the server gives of the whole.

import { describe, expect, it } from "vitest";
import { beginTrace, foldLog, makeEvent, SyntheticLog } from "../../bench/synthetic";
import recordings from "../../fixtures/traces.jsonl?raw";
import type { EventView, Trace } from "../api_types";
import { Fold } from "./timeline_fold";
import { readTrace, showTrace } from "./timeline_spans";

interface Recording {
  run_id: string;
  events: EventView[];
  traces: Record<string, Trace>;
}

const LOGS = recordings
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recording);

function isFork({ events }: Recording): boolean {
  return events.some((event) => event.type === "run_forked");
}

/** Whether what comes after an event lies in the run's own time: a fork's history does not. */
function isFoldable({ events }: Recording, seq: number): boolean {
  return events.slice(seq).every((event) => event.at >= events[0]!.at) && (!isFork({ events } as Recording) || seq > 2);
}

describe("reading a trace", () => {
  it("loses nothing", () => {
    for (const { traces } of LOGS) {
      for (const trace of Object.values(traces)) expect(showTrace(readTrace(trace))).toEqual(trace);
    }
  });
});

describe("folding events", () => {
  it("gives the server's trace, from wherever it begins", () => {
    let tried = 0;
    for (const log of LOGS) {
      const cuts = Object.keys(log.traces).map(Number);
      for (const from of cuts) {
        if (!isFoldable(log, from)) continue;
        for (const to of cuts.filter((cut) => cut >= from)) {
          const fold = new Fold(readTrace(log.traces[from]!));
          for (const event of log.events.slice(from, to)) expect(fold.add(event)).toBe("folded");
          fold.settleWaits();
          expect(showTrace(fold.table), `${log.run_id} from ${from} to ${to}`).toEqual(log.traces[to]);
          tried++;
        }
      }
    }
    expect(tried).toBeGreaterThan(100);
  });

  it("does not depend on how events are batched", () => {
    for (const log of LOGS.filter((one) => !isFork(one))) {
      const fold = new Fold(readTrace(log.traces[1]!));
      for (const event of log.events.slice(1)) {
        fold.add(event);
        fold.settleWaits();
      }
      expect(showTrace(fold.table), log.run_id).toEqual(log.traces[log.events.length]);
    }
  });

  it("skips what the trace has already", () => {
    const log = LOGS.find((one) => one.run_id === "wrun_locks")!;
    const whole = log.traces[log.events.length]!;
    const fold = new Fold(readTrace(whole));
    for (const event of log.events) expect(fold.add(event)).toBe("skipped");
    expect(showTrace(fold.table)).toEqual(whole);
  });

  it("is stale where an event is missing, and keeps what it has", () => {
    const trace = beginTrace("wrun_1", "shop:order");
    const fold = new Fold(readTrace(trace));
    expect(fold.add(makeEvent(3, "run_started", 0))).toBe("stale");
    expect(showTrace(fold.table)).toEqual(trace);
  });

  it("leaves the beginning of a fork to the server", () => {
    const log = LOGS.find(isFork)!;
    const fold = new Fold(readTrace(log.traces[1]!));
    expect(fold.add(log.events[1]!)).toBe("stale");
  });

  it("tells of every segment that begins or ends", () => {
    let open = 0;
    const fold = new Fold(readTrace(beginTrace("wrun_1", "shop:order")), (_span, _kind, _atMs, delta) => {
      open += delta;
    });
    for (const event of new SyntheticLog(300, 7).events) fold.add(event);
    expect(open).toBe(-1); // the run's first segment was there before
  });
});

describe("a synthetic log", () => {
  it("is long, ends, and leaves nothing open", () => {
    const table = foldLog(new SyntheticLog(2000, 3));
    expect(table.count).toBeGreaterThan(2000);
    expect(table.isEnded).toBe(true);
    for (let span = 0; span < table.count; span++) expect(table.endMs[span]).toBeLessThan(Number.POSITIVE_INFINITY);
  });
});

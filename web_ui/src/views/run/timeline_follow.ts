// Following a run, and the children of it that are open, into a chart.

import type { EventView } from "../../api_types";
import type { Chart } from "../../canvas/chart";
import type { Track } from "../../model/timeline_scene";
import type { TimelineSource } from "./timeline_source";

/** After news the trace is read anew, for what is no event: not more often than this. */
const QUIET_MS = 1500;
/** With more spans than this, reading would cost frames: it is left until the run ends. */
const LONG = 2_000;
/** Children come and go with what is opened: looked for this often. */
const LOOK_MS = 500;

export interface FollowedRun {
  refresh(): void;
  stop(): void;
}

export function followRun(chart: Chart, runId: string, source: TimelineSource): FollowedRun {
  const stops = new Map<string, () => void>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isReading = false;
  let isStopped = false;

  async function read(): Promise<void> {
    timer = undefined;
    if (isReading || isStopped) return;
    isReading = true;
    try {
      const trace = await source.readTrace(runId);
      // Behind what was folded in meanwhile: it would take events back. There will be news again.
      if (!isStopped && trace.seq >= chart.scene.root.table.seq) chart.setTrace(trace);
    } catch {
      // The connection's pill says that the server is gone; the next news try again.
    } finally {
      isReading = false;
    }
  }

  function plan(): void {
    if (timer !== undefined || isStopped || chart.scene.root.table.count > LONG) return;
    timer = setTimeout(() => void read(), QUIET_MS);
  }

  function take(id: string, events: readonly EventView[]): void {
    const track = chart.trackOf(id);
    if (track === null) return;
    chart.addEvents(track, events);
    if (id === runId) plan();
  }

  function start(track: Track): void {
    const id = track.table.runId;
    if (stops.has(id) || track.table.isEnded) return;
    stops.set(
      id,
      source.follow(
        id,
        track.table.seq,
        (events) => take(id, events),
        () => id === runId && void read(),
      ),
    );
  }

  function look(): void {
    const ids = new Set<string>();
    for (const track of chart.scene.tracks()) {
      ids.add(track.table.runId);
      start(track);
    }
    for (const [id, stop] of stops) {
      if (ids.has(id)) continue;
      stop();
      stops.delete(id);
    }
  }

  look();
  const looking = setInterval(look, LOOK_MS);
  return {
    refresh: () => void read(),
    stop() {
      isStopped = true;
      clearInterval(looking);
      clearTimeout(timer);
      for (const stop of stops.values()) stop();
    },
  };
}

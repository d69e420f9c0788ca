// Where a timeline has its data from: the server, or what a test or a recording gives.

import { call, follow } from "../../api";
import type { EventView, Trace } from "../../api_types";

export interface TimelineSource {
  readTrace(runId: string): Promise<Trace>;
  /** Give the events after one, and those to come, until the run has ended; gives the function that stops. */
  follow(runId: string, afterSeq: number, take: (events: readonly EventView[]) => void, ended: () => void): () => void;
}

export const serverSource: TimelineSource = {
  readTrace: (runId) => call("GET /api/runs/{id}/trace", { path: { id: runId } }),

  // Payloads are not drawn: asking for them locked saves opening and sending them.
  follow(runId, afterSeq, take, ended) {
    const path = `/api/runs/${encodeURIComponent(runId)}/events?locked=true&cursor=`;
    const followed = follow(
      `${path}${afterSeq}`,
      {
        kinds: [],
        onEvent: (_kind, data) => take([data as EventView]),
        onEnd: () => ended(),
      },
      (lastId) => `${path}${lastId}`,
    );
    return () => followed.close();
  },
};

// Following runs: one connection for each run that is looked at, whoever looks, and one table of its spans.
//
//   const feed = openFeed(id);  feed.begin(seq);  feed.onNews(…);  feed.want();  …  feed.close();
//
// 1. A run's feed is shared: the page of a run, its inspector and a timeline in which it is open as a child hold the same.
// 2. Events come locked: payloads are read by who shows them. A connection that breaks goes on after the last event
//    that came, so none is missed and none comes twice.
// 3. What no event tells (lines, streams, waits that were given up) is asked for after news, once in a while.
// 4. A browser has six connections for a server, for all of its tabs together: three runs have one, further ones (children
//    that are open in a timeline) are asked for now and then.
// 5. A tab that nobody looks at for half a minute lets its connections go, as the studio's own.

import { type Signal, signal } from "@preact/signals";
import { call, Failure, type Followed, follow } from "../../api";
import type { EventView } from "../../api_types";
import { LiveTrace } from "../../model/live_trace";

const GATHER_MS = 16;
const MARKS_MS = 600;
/** So many times as long as it took to read them: all of them come each time. */
const MARKS_REST = 4;
/** A trace that does not fit what came is read again, but not in a hurry. */
const AGAIN_MS = 1000;
const HIDDEN_MS = 30_000;
const MOST_CONNECTED = 3;
const ASK_MS = 1000;

export interface RunFeed {
  readonly runId: string;
  readonly trace: Signal<LiveTrace | null>;
  readonly failure: Signal<Failure | null>;
  /** Follow the run's events after one, if it goes on. */
  begin(seq: number): void;
  /** Hear that the run's log grew, or that it has ended. */
  onNews(ear: () => void): () => void;
  /** Read its trace, and keep it as the server has it. */
  want(): void;
  reload(): void;
  close(): void;
}

const ENDS: ReadonlySet<string> = new Set(["run_completed", "run_failed", "run_cancelled"]);
let connected = 0;

const feeds = new Map<string, { feed: OwnFeed; holders: number }>();

/** Hold a run's feed; `close` lets go of it, and the last one to do so ends it. */
export function openFeed(runId: string): RunFeed {
  const known = feeds.get(runId) ?? { feed: new OwnFeed(runId), holders: 0 };
  feeds.set(runId, known);
  known.holders++;
  const { feed } = known;
  let isHeld = true;
  return {
    runId,
    trace: feed.trace,
    failure: feed.failure,
    begin: (seq) => feed.begin(seq),
    onNews: (ear) => feed.onNews(ear),
    want: () => feed.want(),
    reload: () => void feed.read(),
    close() {
      if (!isHeld) return;
      isHeld = false;
      known.holders--;
      if (known.holders > 0) return;
      feeds.delete(runId);
      feed.end();
    },
  };
}

class OwnFeed {
  readonly trace = signal<LiveTrace | null>(null);
  readonly failure = signal<Failure | null>(null);
  private readonly ears = new Set<() => void>();
  private seq: number | null = null;
  private followed: Followed | null = null;
  private came: EventView[] = [];
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private marking: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;
  private connecting: ReturnType<typeof setTimeout> | undefined;
  private rereading: ReturnType<typeof setTimeout> | undefined;
  private marksTookMs = 0;
  private reading: Promise<void> | null = null;
  private isWanted = false;
  private isOver = false;

  constructor(private readonly runId: string) {
    document.addEventListener("visibilitychange", this.seen);
  }

  onNews(ear: () => void): () => void {
    this.ears.add(ear);
    return () => this.ears.delete(ear);
  }

  begin(seq: number): void {
    if (this.seq !== null) return;
    this.seq = seq;
    this.connect();
  }

  want(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    void this.read();
  }

  end(): void {
    this.isOver = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.followed?.close();
    const timers = [this.gathering, this.marking, this.hiding, this.connecting, this.rereading];
    for (const timer of timers) clearTimeout(timer);
  }

  /** Read the trace as the server has it now; while that is under way, once is enough. */
  read(): Promise<void> {
    this.reading ??= this.readNow().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  private async readNow(): Promise<void> {
    try {
      const found = await call("GET /api/runs/{id}/trace", { path: { id: this.runId } });
      if (this.isOver) return;
      const known = this.trace.peek();
      if (known) known.replace(found);
      else this.trace.value = new LiveTrace(found);
      this.failure.value = null;
      if (!this.trace.peek()!.isEnded) this.begin(found.seq);
    } catch (error) {
      if (!this.isOver) this.failure.value = Failure.from(error);
    }
  }

  // -- events

  private connect(): void {
    clearTimeout(this.connecting);
    this.followed = connected < MOST_CONNECTED ? this.listen() : this.poll();
  }

  private listen(): Followed {
    connected++;
    let isCounted = true;
    const uncount = () => {
      if (isCounted) connected--;
      isCounted = false;
    };
    const path = `/api/runs/${encodeURIComponent(this.runId)}/events?locked=true&cursor=`;
    const followed = follow(
      `${path}${this.seq}`,
      {
        kinds: [],
        onEvent: (_kind, data) => this.take(data as EventView),
        onEnd: (problem) => {
          uncount();
          if (problem) this.connectAgain(problem);
          else void this.finish();
        },
      },
      (lastId) => `${path}${lastId}`,
    );
    return {
      close: () => {
        uncount();
        followed.close();
      },
    };
  }

  /** Ask for what is new, a page at a time, until the run has ended. */
  private poll(): Followed {
    let isClosed = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      let hasMore = false;
      try {
        const query = { cursor: String(this.seq), locked: true };
        const page = await call("GET /api/runs/{id}/events", { path: { id: this.runId }, query });
        if (isClosed) return;
        for (const event of page.items) this.take(event);
        hasMore = page.cursor !== null;
        if (page.items.some((event) => ENDS.has(event.type))) return void this.finish();
      } catch {
        // The connection's pill says that the server is gone.
      }
      if (!isClosed) timer = setTimeout(() => void look(), hasMore ? 0 : ASK_MS);
    };
    void look();
    return {
      close() {
        isClosed = true;
        clearTimeout(timer);
      },
    };
  }

  /** Reading failed on the server: its disk was full, its world was busy. A run that is gone is gone. */
  private connectAgain(problem: Failure): void {
    if (problem.slug !== "run-not-found") this.connecting = setTimeout(() => this.connect(), AGAIN_MS);
  }

  private take(event: EventView): void {
    this.seq = event.seq;
    this.came.push(event);
    this.gathering ??= setTimeout(() => void this.fold(), GATHER_MS);
  }

  private async fold(): Promise<void> {
    // What comes while the trace is read is in it, or comes right after it.
    if (this.reading) await this.reading;
    this.gathering = undefined;
    const events = this.came;
    this.came = [];
    if (this.isOver || events.length === 0) return;
    const live = this.trace.peek();
    if (live?.add(events) === false) this.readSoon();
    const restMs = Math.max(MARKS_MS, MARKS_REST * this.marksTookMs);
    if (live) this.marking ??= setTimeout(() => void this.mark(), restMs);
    this.tell();
  }

  /** What comes until then does not fit either: one reading is enough. */
  private readSoon(): void {
    this.rereading ??= setTimeout(() => {
      this.rereading = undefined;
      void this.read();
    }, AGAIN_MS);
  }

  private async mark(): Promise<void> {
    const beganMs = performance.now();
    try {
      const marks = await call("GET /api/runs/{id}/marks", { path: { id: this.runId } });
      if (!this.isOver) this.trace.peek()?.setMarks(marks);
    } catch {
      // The connection's pill says that the server is gone; the next news ask again.
    } finally {
      this.marksTookMs = performance.now() - beganMs;
      this.marking = undefined;
    }
  }

  /** It has ended: its last words are in the log, but what it gave up is not. */
  private async finish(): Promise<void> {
    clearTimeout(this.gathering);
    await this.fold();
    if (this.isOver) return;
    if (this.isWanted) await this.read();
    this.tell();
  }

  private tell(): void {
    for (const ear of this.ears) ear();
  }

  private readonly seen = (): void => {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        clearTimeout(this.connecting);
        this.followed?.close();
        this.followed = null;
      }, HIDDEN_MS);
    } else if (this.followed === null && this.seq !== null && this.trace.peek()?.isEnded !== true) this.connect();
  };
}

/** Where a timeline has the runs from that are opened in it: the server, or what a test or a recording gives. */
export interface TimelineSource {
  open(runId: string): Promise<OpenedRun>;
}

export interface OpenedRun {
  readonly trace: LiveTrace;
  close(): void;
}

export const serverSource: TimelineSource = {
  open(runId) {
    const feed = openFeed(runId);
    return new Promise((resolve, reject) => {
      const stops = [
        feed.trace.subscribe((trace) => {
          if (trace) settle(() => resolve({ trace, close: feed.close }));
        }),
        feed.failure.subscribe((failure) => {
          if (failure) settle(() => reject(failure), true);
        }),
      ];
      function settle(act: () => void, isLost = false): void {
        queueMicrotask(() => {
          for (const stop of stops) stop();
        });
        if (isLost) feed.close();
        act();
      }
      feed.want();
    });
  },
};

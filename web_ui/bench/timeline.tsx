/**
 * The timeline by itself, for measuring and for looking at: `timeline.html?spans=100000`, or `?trace=URL`.
 *
 * `tests/browser/bench_timeline.mjs` builds, serves and drives it. What it measures is on `window.bench`.
 */

import { render } from "preact";
import type { EventView, Trace } from "../src/api_types";
import type { TimelineSource } from "../src/views/run/following";
import { LiveTrace } from "../src/model/live_trace";
import { parseInstantUs } from "../src/model/timeline_spans";
import type { Chart } from "../src/canvas/chart";
import { Timeline } from "../src/views/run/Timeline";
import { followKeys } from "../src/state/keyboard";
import { beginTrace, makeSyntheticTrace, SyntheticLog } from "./synthetic";

const query = new URLSearchParams(location.search);
const root = document.getElementById("root")!;

const source: TimelineSource = {
  async open(runId) {
    const trace = (await (await fetch(`./traces/${encodeURIComponent(runId)}`)).json()) as Trace;
    return { trace: new LiveTrace(trace), close: () => undefined };
  },
};

/** Fold in what the bench's server makes up, after what is there. */
function follow(trace: LiveTrace): void {
  const events = new EventSource(`./events?after=${trace.seq}`);
  events.onmessage = (event) => trace.add([JSON.parse(event.data as string) as EventView]);
  events.addEventListener("end", () => events.close());
}

let selectedId: string | null = null;
let view: string | null = null;

function show(given: Trace, live: boolean, nowUs?: () => number): void {
  const trace = new LiveTrace(given);
  if (live) follow(trace);
  draw(trace, live, nowUs);
}

function draw(trace: LiveTrace, live: boolean, nowUs?: () => number): void {
  const again = (): void =>
    render(
      <Timeline
        trace={trace}
        live={live}
        selectedId={selectedId}
        onSelect={(id) => {
          selectedId = id;
          again();
        }}
        source={source}
        onView={(shown) => {
          view = shown;
        }}
        onChart={(chart) => {
          window.timelineChart = chart;
        }}
        {...(nowUs ? { nowUs } : {})}
      />,
      root,
    );
  again();
}

/**
 * Show a run that grows only when it is told to, by events of its log; "now" is when the last of them came. Gives what
 * lets so many more in, and tells whether there are more.
 */
function growLog(spans: number, seed: number): (events: number) => boolean {
  const log = new SyntheticLog(spans, seed, false).events;
  const trace = new LiveTrace(beginTrace("wrun_growing", "shop.site:build"));
  let at = 0;
  const grow = (events: number): boolean => {
    trace.add(log.slice(at, (at += events)));
    return at < log.length;
  };
  grow(Math.floor(log.length * 0.9));
  draw(trace, true, () => parseInstantUs(log[Math.min(at, log.length) - 1]!.at) + 500);
  return grow;
}

/** After the frame in which it was called has been handed over to the compositor. */
function afterPaint(): Promise<number> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.now());
      channel.port2.postMessage(null);
    });
  });
}

/** Show a trace given as text, and say how long it took until it was painted. */
async function paintFirst(text: string): Promise<{ parseMs: number; paintMs: number }> {
  render(null, root);
  await afterPaint();
  const startMs = performance.now();
  const trace = JSON.parse(text) as Trace;
  const parsedMs = performance.now();
  show(trace, false);
  const paintedMs = await afterPaint();
  return { parseMs: parsedMs - startMs, paintMs: paintedMs - startMs };
}

interface Frames {
  /** From a frame's beginning until its work was handed over. */
  work: number[];
  /** From one frame's beginning to the next one's. */
  intervals: number[];
}

let isRecording = false;
let recorded: Frames | null = null;

/** Record frames until `stopFrames`. */
function recordFrames(): Promise<Frames> {
  const frames: Frames = { work: [], intervals: [] };
  isRecording = true;
  recorded = frames;
  let lastMs = 0;
  return new Promise((resolve) => {
    const tick = (timeMs: number): void => {
      const startMs = performance.now();
      if (lastMs > 0) frames.intervals.push(timeMs - lastMs);
      lastMs = timeMs;
      const channel = new MessageChannel();
      channel.port1.onmessage = () => frames.work.push(performance.now() - startMs);
      channel.port2.postMessage(null);
      if (isRecording) requestAnimationFrame(tick);
      else resolve(frames);
    };
    requestAnimationFrame(tick);
  });
}

const bench = {
  selectedId: () => selectedId,
  view: () => view,
  show,
  growLog,
  paintFirst,
  afterPaint,
  recordFrames,
  countFrames: () => recorded?.work.length ?? 0,
  stopFrames: () => {
    isRecording = false;
  },
  makeText: (spans: number, isEnded = true) => JSON.stringify(makeSyntheticTrace(spans, 1, isEnded)),
};

declare global {
  interface Window {
    bench: typeof bench;
    timelineChart?: Chart;
  }
}

window.bench = bench;
followKeys();

const url = query.get("trace");
if (url !== null) {
  const trace = (await (await fetch(url)).json()) as Trace;
  show(trace, query.has("live"));
} else if (query.has("spans")) {
  show(makeSyntheticTrace(Number(query.get("spans"))), false);
}

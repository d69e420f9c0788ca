// The timeline of a run: a canvas, the tools around it, and a table that says the same in words.
//
//   <Timeline trace={trace} live selectedId={id} onSelect={select} />
//
// 1. `trace` grows by itself while the run goes on (`live_trace.ts`); the timeline shows what is in it, and opens the
//    child runs below their calls from its `source`.
// 2. A span of a child run has the id `<run id>/<id>`; those of the run itself have their own.
// 3. Whatever can be seen can be read: the table has every call, the selected one is spoken, and no state is told
//    by colour alone.

import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Chart, type ChartState } from "../../canvas/chart";
import { attachInput } from "../../canvas/input";
import { showCount, showDuration } from "../../model/instants";
import type { LiveTrace } from "../../model/live_trace";
import { makeChromeTrace } from "../../model/timeline_chrome_trace";
import type { SpanAt } from "../../model/timeline_scene";
import { useKeys } from "../../state/keyboard";
import { Button } from "../parts/small";
import { TimelineLegend } from "./TimelineLegend";
import { TimelineTable } from "./TimelineTable";
import { TimelineTip, type Tip } from "./TimelineTip";
import "./timeline.css";
import { serverSource, type TimelineSource } from "./following";
import { OpenedRuns } from "./opened";
import { sayCall } from "./timeline_sayings";

export interface TimelineProps {
  trace: LiveTrace;
  /** The run goes on: now moves. */
  live: boolean;
  selectedId: string | null;
  onSelect: (id: string | null) => void;
  /** Enter, or a double click in the table: show the details. */
  onOpen?: (id: string) => void;
  source?: TimelineSource;
  /** The stretch of time that is shown at first, as `onView` told it: for links. */
  view?: string | null;
  /** Another stretch of time is shown; null: everything. */
  onView?: (view: string | null) => void;
  /** Instead of the clock: microseconds since 1970. */
  nowUs?: () => number;
  /** The chart is there: for who measures it. */
  onChart?: (chart: Chart) => void;
}

const ZOOM = 0.6;
const PAN = 0.25;

export function Timeline(props: TimelineProps) {
  const { trace, live, selectedId } = props;
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const minimap = useRef<HTMLCanvasElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const [chart, setChart] = useState<Chart | null>(null);
  const [state, setState] = useState<ChartState | null>(null);
  const tip = useSignal<Tip | null>(null);
  const [isTable, setTable] = useState(false);
  const [trouble, setTrouble] = useState("");

  useEffect(() => {
    const parts = { chart: canvas.current!, minimap: minimap.current!, frame: frame.current! };
    const made: Chart = new Chart(
      parts,
      trace,
      {
        selected: (at) => latest.current.onSelect(at === null ? null : made.scene.idOf(at)),
        opened: (at) => latest.current.onOpen?.(made.scene.idOf(at)),
        hovered: (at, xPx, yPx) => {
          tip.value = at === null ? null : { at, xPx, yPx };
        },
        changed: setState,
        toggled: (at) => void toggleChild(at),
        viewed: (view) => latest.current.onView?.(view),
      },
      latest.current.nowUs,
      latest.current.view ?? null,
    );
    const opened = new OpenedRuns(made, () => latest.current.source ?? serverSource, setTrouble);
    const toggleChild = async (at: SpanAt) => {
      const wanted = (await opened.toggle(at)) ? latest.current.selectedId : null;
      if (wanted?.includes("/")) made.selectId(wanted); // a link to one of its calls
    };
    const detach = attachInput(made, parts.chart, parts.minimap);
    setChart(made);
    latest.current.onChart?.(made);
    return () => {
      detach();
      made.dispose();
      opened.close();
    };
  }, [trace]);

  useEffect(() => {
    if (chart === null) return;
    chart.isLive = live;
    chart.invalidate();
  }, [chart, live]);

  // In the same turn as the render: a later one would take back what was selected meanwhile.
  useLayoutEffect(() => {
    chart?.selectId(selectedId);
  }, [chart, selectedId]);

  // A call of a child run that is not open, from a link: open the child.
  useEffect(() => {
    const at = selectedId?.lastIndexOf("/") ?? -1;
    const hidden = chart !== null && at > 0 ? chart.shown.findChild(selectedId!.slice(0, at)) : null;
    if (hidden !== null && !hidden.track.children.has(hidden.span)) chart!.toggle(hidden);
  }, [chart, selectedId]);

  useKeys(chart === null ? [] : bindingsOf(chart, search, state), [chart, state?.isPathShown, state?.isMeasuring]);

  const download = useCallback(() => {
    if (chart !== null) saveTrace(chart);
  }, [chart]);

  return (
    <section class="tl" aria-label="timeline">
      <div class="tl-tools">
        <Search chart={chart} state={state} input={search} />
        <Tools chart={chart} state={state} live={live} />
        <span class="tl-tools-end">
          <Button kind="quiet" aria-pressed={isTable} title="the same as a table" onClick={() => setTable(!isTable)}>
            Table
          </Button>
          <Button kind="quiet" title="download for Perfetto or chrome://tracing" onClick={download}>
            Export
          </Button>
        </span>
      </div>
      {trouble !== "" && (
        <p class="tl-trouble" role="alert">
          {trouble}
        </p>
      )}
      <div class={`tl-body ${isTable ? "tl-has-table" : ""}`}>
        <div
          class="tl-frame"
          ref={frame}
          tabIndex={0}
          role="group"
          aria-label={`chart of ${showCount(state?.spanCount ?? 0)} calls; j and k go from call to call, the table says the same`}
          onKeyDown={(event) => chart !== null && onArrow(chart, event)}
        >
          <canvas ref={minimap} class="tl-minimap" />
          <canvas ref={canvas} class="tl-chart" />
          {chart !== null && <TimelineTip chart={chart} tip={tip} />}
        </div>
        {isTable && chart !== null && (
          <TimelineTable
            chart={chart}
            version={state?.version ?? 0}
            selectedId={selectedId}
            onSelect={(at) => chart.select(at)}
            onOpen={(at) => latest.current.onOpen?.(chart.scene.idOf(at))}
          />
        )}
      </div>
      <Footer chart={chart} state={state} />
      <p class="hidden-text" aria-live="polite">
        {chart !== null && chart.selected !== null && selectedId !== null ? sayCall(chart.selected) : ""}
      </p>
    </section>
  );
}

type ChartRef = { chart: Chart | null; state: ChartState | null };

function Search({ chart, state, input }: ChartRef & { input: RefObject<HTMLInputElement | null> }) {
  const [text, setText] = useState("");
  const hasSearch = text.trim() !== "";
  const searched = state?.searched ?? "";
  // Esc in the chart leaves a search, too.
  useEffect(() => {
    if (searched === "") setText("");
  }, [searched]);
  const apply = (wanted: string) => {
    setText(wanted);
    chart?.search(wanted);
  };
  const count = state?.matchCount ?? 0;
  return (
    <form
      class="tl-search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        chart?.seek(1);
      }}
    >
      <input
        ref={input}
        type="search"
        placeholder="Find calls  /"
        aria-label="find calls by name, kind, status or error"
        value={text}
        onInput={(event) => apply(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && event.shiftKey) {
            event.preventDefault();
            chart?.seek(-1);
          } else if (event.key === "Escape") {
            event.stopPropagation();
            apply("");
            event.currentTarget.blur();
          }
        }}
      />
      <output class="tl-count num" aria-live="polite">
        {hasSearch ? (count === 0 ? "none" : `${place(state)}${showCount(count)}`) : ""}
      </output>
      {hasSearch && count > 0 && (
        <>
          <Button
            kind="quiet"
            repeats
            aria-label="previous match"
            title="previous match (N)"
            onClick={() => chart?.seek(-1)}
          >
            ‹
          </Button>
          <Button kind="quiet" repeats aria-label="next match" title="next match (n)" onClick={() => chart?.seek(1)}>
            ›
          </Button>
        </>
      )}
    </form>
  );
}

function place(state: ChartState | null): string {
  return state !== null && state.matchPlace >= 0 ? `${showCount(state.matchPlace + 1)} / ` : "";
}

function Tools({ chart, state, live }: ChartRef & { live: boolean }) {
  if (chart === null || state === null) return null;
  const { arrangement, isPathShown, isFolding, isMeasuring, following } = state;
  return (
    <>
      <span class="tl-choice" role="group" aria-label="rows">
        <Button
          kind="quiet"
          aria-pressed={arrangement === "calls"}
          title="a row for each call, in order"
          onClick={() => chart.arrange("calls")}
        >
          Calls
        </Button>
        <Button
          kind="quiet"
          aria-pressed={arrangement === "names"}
          title="calls of one name side by side"
          onClick={() => chart.arrange("names")}
        >
          Names
        </Button>
      </span>
      <Button
        kind="quiet"
        aria-pressed={isPathShown}
        title="what the run's length depends on (p)"
        onClick={() => chart.showPath(!isPathShown)}
      >
        Critical path
      </Button>
      <Button
        kind="quiet"
        aria-pressed={isFolding}
        title="press stretches together in which the run only waited (z)"
        onClick={() => chart.foldGaps(!isFolding)}
      >
        Fold gaps
      </Button>
      <Button
        kind="quiet"
        aria-pressed={isMeasuring}
        title="drag over the chart to measure (m, or Shift and drag)"
        onClick={() => chart.aim.setMeasuring(!isMeasuring)}
      >
        Measure
      </Button>
      {live && !state.isEnded && (
        <Button
          kind="quiet"
          aria-pressed={following !== "off"}
          title="keep the newest in sight"
          onClick={() => chart.follow(following === "off" ? "end" : "off")}
        >
          Follow
        </Button>
      )}
      <span class="tl-choice" role="group" aria-label="zoom">
        <Button
          kind="quiet"
          repeats
          aria-label="zoom out"
          title="zoom out (s)"
          onClick={() => chart.zoom(1 / ZOOM, null, true)}
        >
          −
        </Button>
        <Button
          kind="quiet"
          repeats
          aria-label="zoom in"
          title="zoom in (w)"
          onClick={() => chart.zoom(ZOOM, null, true)}
        >
          +
        </Button>
        <Button kind="quiet" title="show everything (f)" onClick={() => chart.fit()}>
          Fit
        </Button>
      </span>
    </>
  );
}

function Footer({ chart, state }: ChartRef) {
  const parts = useMemo(() => (state === null ? [] : sayState(state)), [state]);
  return (
    <footer class="tl-foot">
      <span class="num">{parts.join(" · ")}</span>
      {chart !== null && <TimelineLegend />}
    </footer>
  );
}

function sayState(state: ChartState): string[] {
  const parts = [count(state.spanCount, "span")];
  if (state.gapCount > 0) parts.push(`${count(state.gapCount, "gap")} folded`);
  if (state.isPathShown) parts.push(`critical path: ${count(state.pathCount, "call")}`);
  const { measured } = state;
  if (measured !== null) {
    parts.push(
      `${showDuration(measured.lengthMs)} measured`,
      `${count(measured.calls, "call")} under way`,
      `attempts ran ${showDuration(measured.busyMs)}`,
      ...(measured.failed > 0 ? [`${showCount(measured.failed)} failed`] : []),
    );
  }
  return parts;
}

function count(number: number, what: string): string {
  return `${showCount(number)} ${what}${number === 1 ? "" : "s"}`;
}

function bindingsOf(chart: Chart, search: RefObject<HTMLInputElement | null>, state: ChartState | null) {
  const bind = (keys: string, label: string, run: () => void) => ({ keys, label, group: "Timeline", run });
  const panPx = () => chart.eye.camera.widthPx * PAN;
  return [
    bind("w", "zoom in", () => chart.zoom(ZOOM, null, true)),
    bind("s", "zoom out", () => chart.zoom(1 / ZOOM, null, true)),
    bind("a", "pan left", () => chart.pan(-panPx(), 0, true)),
    bind("d", "pan right", () => chart.pan(panPx(), 0, true)),
    bind("f", "show everything", () => chart.fit()),
    bind("F", "show the selected call as wide as the chart", () => chart.fitSelected()),
    bind("j", "next call", () => chart.step(1)),
    bind("k", "previous call", () => chart.step(-1)),
    bind("Enter", "open the selected call", () => chart.openSelected()),
    bind("Escape", "leave measure, search, selection", () => chart.escape()),
    bind("/", "find calls", () => search.current?.focus()),
    bind("n", "next match", () => chart.seek(1)),
    bind("N", "previous match", () => chart.seek(-1)),
    bind("p", "critical path", () => chart.showPath(!state?.isPathShown)),
    bind("z", "fold gaps", () => chart.foldGaps(!chart.scene.isFolding)),
    bind("m", "measure", () => chart.aim.setMeasuring(!state?.isMeasuring)),
  ];
}

function onArrow(chart: Chart, event: KeyboardEvent): void {
  const run: Record<string, () => void> = {
    ArrowDown: () => chart.step(1),
    ArrowUp: () => chart.step(-1),
    ArrowRight: () => chart.toggleSelected(true),
    ArrowLeft: () => chart.toggleSelected(false),
    PageDown: () => chart.pan(0, chart.eye.camera.heightPx * 0.9, true),
    PageUp: () => chart.pan(0, -chart.eye.camera.heightPx * 0.9, true),
    Home: () => chart.pan(0, -Number.MAX_SAFE_INTEGER, true),
    End: () => chart.pan(0, Number.MAX_SAFE_INTEGER, true),
  };
  const found = run[event.key];
  if (found === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  found();
}

function saveTrace(chart: Chart): void {
  const text = JSON.stringify(makeChromeTrace(chart.scene));
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${chart.scene.root.table.runId}.trace.json`;
  link.click();
  // The download has begun with the click; a later turn is early enough to let the text go.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

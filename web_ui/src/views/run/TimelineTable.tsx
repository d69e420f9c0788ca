// The table that mirrors the timeline: every call that the chart shows, with the same order, times and states.

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Chart } from "../../canvas/chart";
import { showCount, showDuration } from "../../model/instants";
import { printable } from "../../model/printable";
import type { SpanAt, Track } from "../../model/timeline_scene";
import { OPEN, RUN, segmentsOf } from "../../model/timeline_spans";
import { callName } from "../../model/timeline_words";
import { Status } from "../parts/small";

const ROW_PX = 26;
const OVERSCAN = 8;
const TITLES = ["Call", "Kind", "Status", "Start", "Took", "Queued", "Attempts", "Waited to retry", "Error"];

interface TableProps {
  chart: Chart;
  /** Grows when the run did. */
  version: number;
  selectedId: string | null;
  onSelect: (at: SpanAt) => void;
  onOpen: (at: SpanAt) => void;
}

export function TimelineTable({ chart, selectedId, onSelect, onOpen }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const count = [...chart.scene.tracks()].reduce((sum, track) => sum + track.table.count, 0);
  const { first, last } = useRowsInSight(scroller, count);
  const selected = chart.selected === null || selectedId === null ? -1 : indexOf(chart, chart.selected);
  useEffect(() => {
    if (selected >= 0 && scroller.current !== null) revealRow(scroller.current, selected);
  }, [selected]);
  const move = (index: number) => {
    const at = callAt(chart, index);
    if (at !== null) onSelect(at);
  };
  return (
    <div
      class="tl-table"
      ref={scroller}
      role="grid"
      aria-label={`${showCount(count)} calls`}
      aria-rowcount={count + 1}
      aria-colcount={TITLES.length}
      aria-activedescendant={selected >= 0 ? `tl-row-${selected}` : undefined}
      tabIndex={0}
      onKeyDown={(event) => {
        const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 };
        const to = event.key === "Home" ? 0 : event.key === "End" ? count - 1 : selected + (steps[event.key] ?? 0);
        if (event.key === "Enter") {
          const at = callAt(chart, selected);
          if (at !== null) onOpen(at);
        } else if (to === selected) return;
        else move(Math.max(0, Math.min(count - 1, to)));
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <div class="tl-table-row tl-table-head" role="row" aria-rowindex={1}>
        {TITLES.map((title, column) => (
          <span role="columnheader" key={title} class={column > 2 && column < 8 ? "tl-right" : ""}>
            {title}
          </span>
        ))}
      </div>
      <div class="tl-table-space" role="rowgroup" style={{ height: `${count * ROW_PX}px` }}>
        {Array.from({ length: Math.max(0, last - first) }, (_, place) => {
          const index = first + place;
          const at = callAt(chart, index);
          if (at === null) return null;
          return (
            <div
              key={index}
              id={`tl-row-${index}`}
              class={`tl-table-row ${index === selected ? "is-selected" : ""}`}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={index === selected}
              style={{ transform: `translateY(${index * ROW_PX}px)` }}
              onClick={() => onSelect(at)}
              onDblClick={() => onOpen(at)}
            >
              <Cells chart={chart} at={at} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

/**
 * Which rows are in the page: those in sight, and some around them.
 *
 * The grid itself scrolls, below a head that stays: it has the focus, and what scrolls must be what has it. All rows are
 * equally high, so this is a division.
 */
function useRowsInSight(scroller: RefObject<HTMLElement | null>, count: number): { first: number; last: number } {
  const [sight, setSight] = useState({ topPx: 0, heightPx: 400 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const look = () => setSight({ topPx: element.scrollTop, heightPx: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [scroller]);
  return {
    first: Math.max(0, Math.floor(sight.topPx / ROW_PX) - OVERSCAN),
    last: Math.min(count, Math.ceil((sight.topPx + sight.heightPx) / ROW_PX) + OVERSCAN),
  };
}

/** Scroll as little as it takes; the head covers a row's height at the top. */
function revealRow(scroller: HTMLElement, index: number): void {
  const topPx = index * ROW_PX;
  const lowestTopPx = topPx + 2 * ROW_PX - scroller.clientHeight;
  scroller.scrollTop = Math.max(Math.min(scroller.scrollTop, topPx), lowestTopPx);
}

function Cells({ chart, at: { track, span } }: { chart: Chart; at: SpanAt }) {
  const { table, shiftMs } = track;
  const nowMs = chart.nowMs - shiftMs;
  const times = addTimes(track, span, nowMs);
  const attempts = table.attempts[span]!;
  const isOpen = table.endMs[span] === OPEN;
  const cells: [string, string][] = [
    [showDuration(table.startMs[span]! + shiftMs), "start"],
    [`${showDuration(table.reachMs(span, nowMs) - table.startMs[span]!)}${isOpen ? " …" : ""}`, "took"],
    [times.queuedMs > 0 ? showDuration(times.queuedMs) : "", "queued"],
    [span !== RUN && attempts > 0 ? String(attempts) : "", "attempts"],
    [times.retryMs > 0 ? showDuration(times.retryMs) : "", "retry"],
  ];
  return (
    <>
      <span role="gridcell" class="cut tl-indented" title={printable(table.nameOf(span))}>
        {"   ".repeat(track.depth + (span === RUN ? 0 : 1))}
        {callName(table.kindOf(span), table.nameOf(span))}
      </span>
      <span role="gridcell" class="dim">
        {table.kindOf(span)}
      </span>
      <span role="gridcell">
        <Status status={table.statusOf(span)} />
      </span>
      {cells.map(([text, what]) => (
        <span role="gridcell" key={what} class="num tl-right">
          {text}
        </span>
      ))}
      <span role="gridcell" class="cut">
        {table.errorTypes.get(span) ?? ""}
      </span>
    </>
  );
}

function addTimes({ table }: Track, span: number, nowMs: number): { queuedMs: number; retryMs: number } {
  let queuedMs = 0;
  let retryMs = 0;
  for (const segment of segmentsOf(table, span)) {
    const kind = table.segmentKinds.decode(table.segmentKind[segment]!);
    const lengthMs = Math.min(table.segmentEndMs[segment]!, nowMs) - table.segmentStartMs[segment]!;
    if (kind === "queued") queuedMs += lengthMs;
    else if (kind === "retry_wait") retryMs += lengthMs;
  }
  return { queuedMs, retryMs };
}

/** The call in a row of the table: track after track, each in order. */
function callAt(chart: Chart, index: number): SpanAt | null {
  let before = 0;
  for (const track of chart.scene.tracks()) {
    if (index >= before && index < before + track.table.count) return { track, span: index - before };
    before += track.table.count;
  }
  return null;
}

function indexOf(chart: Chart, at: SpanAt): number {
  let before = 0;
  for (const track of chart.scene.tracks()) {
    if (track === at.track) return before + at.span;
    before += track.table.count;
  }
  return -1;
}

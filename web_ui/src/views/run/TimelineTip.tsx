// What is under the pointer, in words. It never takes the pointer, and keeps within the chart.

import type { ReadonlySignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Chart } from "../../canvas/chart";
import { showDuration } from "../../model/instants";
import { printable } from "../../model/printable";
import type { SpanAt } from "../../model/timeline_scene";
import { saySegments } from "./timeline_sayings";

const OFFSET_PX = 14;
const MINIMAP_PX = 52;

export interface Tip {
  readonly at: SpanAt;
  readonly xPx: number;
  readonly yPx: number;
}

/** A signal, so that a pointer that moves renders nothing but this. */
export function TimelineTip({ chart, tip }: { chart: Chart; tip: ReadonlySignal<Tip | null> }) {
  return tip.value === null ? null : <TipBox chart={chart} {...tip.value} />;
}

function TipBox({ chart, at, xPx, yPx }: Tip & { chart: Chart }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    const frame = element?.parentElement;
    if (!element || !frame) return;
    const isRight = xPx + OFFSET_PX + element.offsetWidth > frame.clientWidth - 4;
    const left = isRight ? xPx - OFFSET_PX - element.offsetWidth : xPx + OFFSET_PX;
    const below = yPx + MINIMAP_PX + OFFSET_PX;
    const isLow = below + element.offsetHeight > frame.clientHeight - 4;
    const top = isLow ? yPx + MINIMAP_PX - OFFSET_PX - element.offsetHeight : below;
    element.style.transform = `translate(${Math.round(Math.max(4, left))}px, ${Math.round(Math.max(4, top))}px)`;
  });
  const { track, span } = at;
  const { table, shiftMs } = track;
  const lengthMs = table.reachMs(span, chart.nowMs - shiftMs) - table.startMs[span]!;
  const segments = saySegments(chart, at);
  return (
    <div class="tl-tip" ref={box} aria-hidden="true">
      <p class="tl-tip-name">{printable(table.nameOf(span))}</p>
      <p class="dim num">
        {table.kindOf(span)} · {table.statusOf(span)} · {showDuration(lengthMs)} · from{" "}
        {showDuration(table.startMs[span]! + shiftMs)}
      </p>
      {table.errorTypes.has(span) && <p class="tl-tip-error">{table.errorTypes.get(span)}</p>}
      {segments.length > 1 && (
        <table class="num">
          <tbody>
            {segments.map((segment, index) => (
              <tr key={index}>
                <td>{segment.what}</td>
                <td class="tl-right">{segment.took}</td>
                <td>{segment.outcome}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

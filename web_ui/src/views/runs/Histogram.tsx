// Runs over time by status. Dragging over it narrows the time of the filter.

import { useRef, useState } from "preact/hooks";
import { type Bin, stack } from "../../model/histogram";
import { sayMany, showCount, showMark } from "../../model/instants";

const HEIGHT = 44;

const sayRuns = (count: number) => sayMany(count, "run");

export function Histogram({
  bins,
  isWhole,
  onBrush,
}: {
  bins: readonly Bin[];
  isWhole: boolean;
  onBrush: (fromMs: number, toMs: number) => void;
}) {
  const svg = useRef<SVGSVGElement>(null);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const tallest = Math.max(1, ...bins.map((bin) => bin.total));
  const total = bins.reduce((sum, bin) => sum + bin.total, 0);
  const placeAt = (event: PointerEvent): number => {
    const box = svg.current!.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(1, box.width);
    return Math.max(0, Math.min(bins.length - 1, Math.floor(share * bins.length)));
  };
  const low = brush && Math.min(...brush);
  const high = brush && Math.max(...brush);
  const shown = hovered === null ? null : (bins[hovered] ?? null);
  const first = bins[0];
  const last = bins.at(-1);
  const show = (ms: number) => showMark(ms, first ? first.endMs - first.startMs : 1);
  const summary =
    first && last ? `${sayRuns(total)} from ${show(first.startMs)} to ${show(last.endMs)}` : "no runs to count";
  return (
    <figure class="histogram">
      <svg
        ref={svg}
        viewBox={`0 0 ${Math.max(1, bins.length)} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary}
        onPointerDown={(event) => {
          if (!bins.length || event.button !== 0) return;
          svg.current!.setPointerCapture(event.pointerId);
          const at = placeAt(event);
          setBrush([at, at]);
        }}
        onPointerMove={(event) => {
          if (!bins.length) return;
          const at = placeAt(event);
          setHovered(at);
          if (brush) setBrush([brush[0], at]);
        }}
        onPointerLeave={() => setHovered(null)}
        onPointerCancel={() => setBrush(null)}
        onPointerUp={() => {
          if (brush && low !== null && high !== null) onBrush(bins[low]!.startMs, bins[high]!.endMs);
          setBrush(null);
        }}
      >
        {bins.map((bin, index) =>
          stack(bin, tallest).map(({ status, from, to }) => (
            <rect
              key={`${index} ${status}`}
              class={`bar bar-${status}`}
              x={index + 0.08}
              width={0.84}
              y={HEIGHT - to * HEIGHT}
              height={Math.max((to - from) * HEIGHT, 0.8)}
            />
          )),
        )}
        {brush && low !== null && high !== null && (
          <rect class="brush" x={low} width={high - low + 1} y={0} height={HEIGHT} />
        )}
      </svg>
      <figcaption class="dim num">
        {shown ? (
          <>
            {show(shown.startMs)}: {sayRuns(shown.total)}
            {Object.entries(shown.counts).map(([status, count]) => (
              <span key={status}>
                {" "}
                · {showCount(count)} {status}
              </span>
            ))}
          </>
        ) : (
          <>
            <span>{first ? show(first.startMs) : ""}</span>
            <span>
              {sayRuns(total)}
              {isWhole ? "" : ", the newest ones"} · drag to narrow the time
            </span>
            <span>{last ? show(last.endMs) : ""}</span>
          </>
        )}
      </figcaption>
    </figure>
  );
}

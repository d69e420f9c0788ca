// A chart of a result: line, bar or scatter, of the columns that are chosen. Drawn by uPlot.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Column } from "../../api_types";
import { watchTheme } from "../../canvas/theme";
import { type ChartChoice, chooseChart, isInstant, isNumeric, showCell } from "../../model/results";
import { theme } from "../../state/theme";
import { Empty } from "../parts/small";

const HEIGHT = 320;
const WHOLE = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
const SERIES = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5"];

export function Chart({ columns, rows }: { columns: readonly Column[]; rows: readonly unknown[][] }) {
  const first = useMemo(() => chooseChart(columns), [columns]);
  const [choice, setChoice] = useState<ChartChoice | null>(first);
  useEffect(() => setChoice(first), [first]);
  const host = useRef<HTMLDivElement>(null);
  const look = theme.value;
  const [paints, setPaints] = useState(0);
  useEffect(() => watchTheme(() => setPaints((count) => count + 1)), []); // the system's theme may change, too
  useEffect(() => {
    const element = host.current;
    if (!element || !choice || choice.y.length === 0) return;
    const plot = draw(element, choice, columns, rows);
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [choice, columns, rows, look, paints]);

  if (!choice) return <Empty title="There is no number to draw">{null}</Empty>;
  const numbers = columns.flatMap((column, index) => (isNumeric(column.type) ? [index] : []));
  return (
    <div class="chart">
      <div class="tab-bar">
        <div class="segmented" role="group" aria-label="kind of chart">
          {(["line", "bar", "scatter"] as const).map((kind) => (
            <button
              type="button"
              key={kind}
              aria-pressed={choice.kind === kind}
              onClick={() => setChoice({ ...choice, kind })}
            >
              {kind}
            </button>
          ))}
        </div>
        <label>
          across{" "}
          <select
            value={String(choice.x)}
            onChange={(event) => setChoice({ ...choice, x: Number(event.currentTarget.value) })}
          >
            {columns.map((column, index) => (
              <option key={index} value={String(index)}>
                {column.name}
              </option>
            ))}
          </select>
        </label>
        <div class="saved" role="group" aria-label="up">
          {numbers.map((index) => (
            <button
              type="button"
              class="chip-button"
              key={index}
              aria-pressed={choice.y.includes(index)}
              onClick={() =>
                setChoice({
                  ...choice,
                  y: choice.y.includes(index)
                    ? choice.y.filter((one) => one !== index)
                    : [...choice.y, index].sort((a, b) => a - b),
                })
              }
            >
              {columns[index]!.name}
            </button>
          ))}
        </div>
      </div>
      <div class="chart-host" ref={host} role="img" aria-label={sayChart(choice, columns, rows.length)} />
    </div>
  );
}

function sayChart(choice: ChartChoice, columns: readonly Column[], count: number): string {
  const up = choice.y.map((index) => columns[index]!.name).join(", ");
  return `a ${choice.kind} chart of ${up} by ${columns[choice.x]!.name}, ${count} rows`;
}

function draw(host: HTMLElement, choice: ChartChoice, columns: readonly Column[], rows: readonly unknown[][]): uPlot {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name: string) => resolve(host, styles.getPropertyValue(name).trim());
  const x = columns[choice.x]!;
  const isTime = isInstant(x.type);
  const isNumber = isNumeric(x.type);
  const across = (row: unknown[], index: number): number =>
    isTime ? Date.parse(zoned(String(row[choice.x]))) / 1000 : isNumber ? Number(row[choice.x]) : index;
  const order = rows.map((row, index) => ({ row, at: across(row, index) })).filter(({ at }) => !Number.isNaN(at));
  order.sort((one, other) => one.at - other.at);
  const labels = isTime || isNumber ? null : order.map(({ row }) => showCell(row[choice.x]));
  const data = [
    order.map(({ at }) => at),
    ...choice.y.map((index) => order.map(({ row }) => (row[index] === null ? null : Number(row[index])))),
  ] as uPlot.AlignedData;
  const isWhole = choice.y.every((index) => order.every(({ row }) => Number.isInteger(Number(row[index]))));
  const text = colour("--dim");
  const axis: uPlot.Axis = {
    stroke: text,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "11px system-ui",
  };
  const most = Math.max(2, Math.floor(host.clientWidth / 90));
  const every = labels ? Math.ceil(labels.length / most) : 1;
  return new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      scales: {
        x: { time: isTime, ...(labels ? { range: (): [number, number] => [-0.6, labels.length - 0.4] } : {}) },
        // A bar that does not begin at nothing tells a lie about how much there is.
        y: choice.kind === "bar" ? { range: (_, low, high) => uPlot.rangeNum(Math.min(0, low), high, 0.1, true) } : {},
      },
      legend: { live: true },
      cursor: { drag: { x: true, y: false } },
      axes: [
        labels
          ? {
              ...axis,
              splits: () => labels.map((_, index) => index).filter((index) => index % every === 0),
              values: (_, splits) => splits.map((at) => cut(labels[at] ?? "")),
            }
          : axis,
        { ...axis, size: 64, ...(isWhole ? { incrs: WHOLE } : {}) },
      ],
      series: [
        {
          label: x.name,
          ...(labels ? { value: (_, at) => (at === null ? "" : (labels[at] ?? "")) } : {}),
        },
        ...choice.y.map((index, place) => {
          const stroke = colour(SERIES[place % SERIES.length]!);
          return {
            label: columns[index]!.name,
            stroke,
            width: 1.5,
            ...(choice.kind === "bar"
              ? { fill: stroke, paths: uPlot.paths.bars!({ size: [0.7, 60] }), points: { show: false } }
              : {}),
            ...(choice.kind === "scatter" ? { paths: () => null, points: { show: true, size: 5, fill: stroke } } : {}),
          } satisfies uPlot.Series;
        }),
      ],
    },
    data,
    host,
  );
}

/** A canvas knows no `light-dark()`: have the browser say which colour it is. */
function resolve(host: HTMLElement, value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  host.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function zoned(text: string): string {
  const iso = text.replace(" ", "T");
  return /Z|[+-]\d\d(:?\d\d)?$/.test(iso.slice(10)) ? iso.replace(/([+-]\d\d)$/, "$1:00") : `${iso}Z`;
}

function cut(text: string): string {
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}

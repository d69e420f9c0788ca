// The results grid: virtual rows, columns as wide as what they show at first.

import { useMemo, useRef, useState } from "preact/hooks";
import type { Column } from "../../api_types";
import { runPlace } from "../../model/places";
import { printable } from "../../model/printable";
import { isNumeric, showCell } from "../../model/results";
import { A } from "../parts/small";
import { useVirtual } from "../parts/virtual";

const ROW = 26;
const CHARACTER_PX = 7.4;
const WIDEST_PX = 420;
const NARROWEST_PX = 64;
const LOOKED_AT = 200;

export function Grid({ columns, rows }: { columns: readonly Column[]; rows: readonly unknown[][] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [sorted, setSorted] = useState<{ column: number; isDown: boolean } | null>(null);
  const [open, setOpen] = useState<{ row: number; column: number } | null>(null);
  const widths = useMemo(
    () =>
      columns.map((column, index) => {
        let longest = column.name.length + 3;
        for (const row of rows.slice(0, LOOKED_AT)) longest = Math.max(longest, showCell(row[index]).length);
        return Math.round(Math.min(WIDEST_PX, Math.max(NARROWEST_PX, longest * CHARACTER_PX + 20)));
      }),
    [columns, rows],
  );
  const shown = useMemo(() => {
    if (!sorted) return rows;
    const sign = sorted.isDown ? -1 : 1;
    return [...rows].sort((one, other) => sign * compare(one[sorted.column], other[sorted.column]));
  }, [rows, sorted]);
  const virtual = useVirtual({ count: shown.length, rowHeight: ROW, scroller });
  const total = widths.reduce((sum, width) => sum + width, 0);
  const template = { gridTemplateColumns: widths.map((width) => `${width}px`).join(" "), minWidth: `${total}px` };
  const opened =
    open && shown[open.row] ? { name: columns[open.column]!.name, value: shown[open.row]![open.column] } : null;
  return (
    <div class="results">
      <div class="grid-scroll results-scroll" ref={scroller} tabIndex={0} role="group" aria-label="rows of the result">
        <div role="table" aria-label="result" aria-rowcount={shown.length + 1} style={{ minWidth: `${total}px` }}>
          <div role="row" class="results-row results-head" style={template} aria-rowindex={1}>
            {columns.map((column, index) => {
              const order = sorted?.column === index ? (sorted.isDown ? "descending" : "ascending") : "none";
              return (
                <span
                  role="columnheader"
                  key={index}
                  aria-sort={order}
                  class={isNumeric(column.type) ? "cell-right" : ""}
                >
                  <button
                    type="button"
                    title={column.type}
                    onClick={() =>
                      setSorted(order === "descending" ? null : { column: index, isDown: order === "ascending" })
                    }
                  >
                    {column.name}
                    {order === "none" ? "" : order === "ascending" ? " ↑" : " ↓"}
                  </button>
                </span>
              );
            })}
          </div>
          <div role="rowgroup" class="grid-space" style={{ height: `${virtual.getTotalSize()}px` }}>
            {virtual.getVirtualItems().map((item) => (
              <div
                role="row"
                key={item.key}
                class="results-row"
                aria-rowindex={item.index + 2}
                style={{ ...template, transform: `translateY(${item.start}px)` }}
              >
                {columns.map((column, index) => {
                  const value = shown[item.index]![index];
                  const isRun = typeof value === "string" && /(^|_)run_id$/.test(column.name);
                  return (
                    <span
                      role="cell"
                      key={index}
                      class={`cut mono ${isNumeric(column.type) ? "cell-right num" : ""} ${value === null ? "is-null" : ""}`}
                      onDblClick={() => setOpen({ row: item.index, column: index })}
                    >
                      {value === null ? (
                        "null"
                      ) : isRun ? (
                        <A href={runPlace(value)}>{value}</A>
                      ) : (
                        printable(showCell(value))
                      )}
                    </span>
                  );
                })}
              </div>
            ))}
          </div>
        </div>
      </div>
      {opened && (
        <div class="results-cell">
          <header>
            <strong class="mono">{opened.name}</strong>
            <button type="button" class="button button-quiet" onClick={() => setOpen(null)}>
              close
            </button>
          </header>
          <pre class="raw" tabIndex={0}>
            {typeof opened.value === "string" ? opened.value : JSON.stringify(opened.value, null, 2)}
          </pre>
        </div>
      )}
    </div>
  );
}

function compare(one: unknown, other: unknown): number {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return showCell(one) < showCell(other) ? -1 : 1;
}

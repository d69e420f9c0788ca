// The run's steps as a table, in order of their calls.

import { useMemo, useRef, useState } from "preact/hooks";
import type { StepView } from "../../api_types";
import { showCount, showDuration } from "../../model/instants";
import { showInline } from "../../model/payloads";
import { useKeys } from "../../state/keyboard";
import { Empty, Status } from "../parts/small";
import { useVirtual } from "../parts/virtual";

const ROW = 30;
type Order = "called" | "slowest";

export function StepsTab({
  steps,
  selected,
  onSelect,
}: {
  steps: readonly StepView[];
  selected: string | null;
  onSelect: (spanId: string) => void;
}) {
  const [order, setOrder] = useState<Order>("called");
  const [text, setText] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const shown = useMemo(() => {
    const word = text.trim().toLowerCase();
    const found = word ? steps.filter((step) => `${step.name} ${step.status}`.toLowerCase().includes(word)) : steps;
    return order === "called" ? found : [...found].sort((a, b) => (b.duration_ms ?? 0) - (a.duration_ms ?? 0));
  }, [steps, text, order]);
  const virtual = useVirtual({ count: shown.length, rowHeight: ROW, scroller });
  const at = shown.findIndex((step) => String(step.correlation_id) === selected);
  const move = (by: number) => {
    const next = shown[Math.max(0, Math.min(shown.length - 1, at < 0 ? 0 : at + by))];
    if (!next) return;
    onSelect(String(next.correlation_id));
    virtual.scrollToIndex(shown.indexOf(next), { align: "auto" });
  };
  useKeys(
    [
      { keys: "j", label: "next step", group: "steps", run: () => move(1) },
      { keys: "k", label: "step before", group: "steps", run: () => move(-1) },
    ],
    [shown, at],
  );
  if (steps.length === 0) return <Empty title="It has called no step yet" />;
  return (
    <div class="tab-table">
      <div class="tab-bar">
        <input
          type="search"
          aria-label="find steps"
          placeholder="name or status"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <div class="segmented" role="group" aria-label="order">
          {(["called", "slowest"] as const).map((one) => (
            <button type="button" key={one} aria-pressed={order === one} onClick={() => setOrder(one)}>
              {one === "called" ? "as called" : "slowest first"}
            </button>
          ))}
        </div>
        <span class="dim num">
          {showCount(shown.length)} {shown.length === 1 ? "step" : "steps"}
        </span>
      </div>
      <div class="steps-grid" role="table" aria-label="steps" aria-rowcount={shown.length + 1}>
        <div class="steps-row grid-head" role="row" aria-rowindex={1}>
          {["#", "Step", "Status", "Attempts", "Took", "Input", "Output"].map((title) => (
            <span role="columnheader" key={title} class={title === "Took" || title === "Attempts" ? "cell-right" : ""}>
              {title}
            </span>
          ))}
        </div>
        <div class="grid-scroll" role="rowgroup" ref={scroller} tabIndex={0} aria-label="rows of steps">
          <div role="presentation" class="grid-space" style={{ height: `${virtual.getTotalSize()}px` }}>
            {virtual.getVirtualItems().map((row) => {
              const step = shown[row.index]!;
              const spanId = String(step.correlation_id);
              return (
                <div
                  role="row"
                  key={step.id}
                  aria-rowindex={row.index + 2}
                  class={spanId === selected ? "steps-row at-cursor" : "steps-row"}
                  style={{ transform: `translateY(${row.start}px)` }}
                  onClick={() => onSelect(spanId)}
                >
                  <span role="cell" class="num dim">
                    {step.correlation_id}
                  </span>
                  <span role="cell" class="cut">
                    <button type="button" class="link" onClick={() => onSelect(spanId)}>
                      {step.name}
                    </button>
                  </span>
                  <span role="cell">
                    <Status status={step.status} />
                  </span>
                  <span role="cell" class="num cell-right">
                    {step.attempts.length || ""}
                  </span>
                  <span role="cell" class="num cell-right">
                    {showDuration(step.duration_ms)}
                  </span>
                  <span role="cell" class="cut mono dim">
                    {step.is_locked ? "locked" : showInline(step.input)}
                  </span>
                  <span role="cell" class={step.error ? "cut mono tone-bad" : "cut mono dim"}>
                    {step.error
                      ? `${step.error.type}: ${step.error.message}`
                      : step.ended_at
                        ? showInline(step.output)
                        : ""}
                  </span>
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}

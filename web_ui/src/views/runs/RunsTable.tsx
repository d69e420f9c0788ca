// The table of runs: virtual, live, and never moving under a hand.

import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { RunView } from "../../api_types";
import { localize } from "../../model/instants";
import { runPlace } from "../../model/places";
import { printable } from "../../model/printable";
import { lookOfRun } from "../../model/statuses";
import { marked } from "../../state/marked";
import { A, Ago, Chip, RunDuration, StatusMark } from "../parts/small";
import { useVirtual } from "../parts/virtual";

const ROW = 32;
const KEPT_ROWS = 1000;

export function RunsTable({
  runs,
  misfits,
  hasMore,
  cursor,
  onCursor,
  selected,
  onSelect,
  onEnd,
  onHold,
}: {
  runs: readonly RunView[];
  misfits: ReadonlySet<string>;
  hasMore: boolean;
  /** Which row the keyboard is at; −1: none. */
  cursor: number;
  onCursor: (index: number) => void;
  selected: ReadonlySet<string>;
  onSelect: (ids: ReadonlySet<string>) => void;
  onEnd: () => void;
  onHold: (isHeld: boolean) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtual({ count: runs.length, rowHeight: ROW, scroller });
  const rows = virtual.getVirtualItems();
  const last = rows.at(-1)?.index ?? 0;
  const isOver = useRef(false);

  useEffect(() => {
    if (hasMore && last >= runs.length - 50) onEnd();
  }, [last, hasMore, runs.length, onEnd]);

  useEffect(() => {
    if (cursor >= 0) virtual.scrollToIndex(cursor, { align: "auto" });
  }, [cursor, virtual]);

  // A row that is as it was is given as it was: scrolling then costs the rows that come, not all that are there. (That rows
  // which come take the elements of those that go was tried, and costs as much: it is the texts that cost.)
  const drawn = useRef(new Map<string, { run: RunView; look: string; row: VNode }>());
  const latest = useRef({ selected, onSelect, onCursor });
  latest.current = { selected, onSelect, onCursor };
  const rowOf = (run: RunView, index: number): VNode => {
    const flags = [misfits.has(run.id), index === cursor, selected.has(run.id)] as const;
    const look = `${index} ${flags.join()}`;
    const kept = drawn.current.get(run.id);
    if (kept?.run === run && kept.look === look) return kept.row;
    const row = (
      <Row
        key={run.id}
        run={run}
        index={index}
        isMisfit={flags[0]}
        isAtCursor={flags[1]}
        isSelected={flags[2]}
        onPick={() => latest.current.onCursor(index)}
        onToggle={() => {
          const next = new Set(latest.current.selected);
          if (!next.delete(run.id)) next.add(run.id);
          latest.current.onSelect(next);
        }}
      />
    );
    if (drawn.current.size > KEPT_ROWS) drawn.current.clear();
    drawn.current.set(run.id, { run, look, row });
    return row;
  };

  const hold = () => onHold(isOver.current || (scroller.current?.scrollTop ?? 0) > 0);
  const areAllSelected = runs.length > 0 && runs.every((run) => selected.has(run.id));
  return (
    <div
      class="grid"
      role="grid"
      aria-label="runs"
      aria-rowcount={hasMore ? -1 : runs.length + 1}
      aria-multiselectable="true"
      aria-activedescendant={cursor >= 0 && runs[cursor] ? `run-${cursor}` : undefined}
      tabIndex={0}
      onFocus={(event) => {
        if (event.target === event.currentTarget && cursor < 0 && runs.length) onCursor(0);
      }}
    >
      <div class="grid-row grid-head" role="row" aria-rowindex={1}>
        <span role="columnheader" class="cell-check">
          <input
            type="checkbox"
            aria-label="select all runs that are loaded"
            checked={areAllSelected}
            onChange={() => onSelect(areAllSelected ? new Set() : new Set(runs.map((run) => run.id)))}
          />
        </span>
        {["Status", "Workflow", "Run", "What it is at", "Attributes", "Took", "Created"].map((title) => (
          <span role="columnheader" key={title} class={title === "Took" || title === "Created" ? "cell-right" : ""}>
            {title}
          </span>
        ))}
      </div>
      <div
        class="grid-scroll"
        role="rowgroup"
        ref={scroller}
        onScroll={hold}
        onPointerEnter={() => {
          isOver.current = true;
          hold();
        }}
        onPointerLeave={() => {
          isOver.current = false;
          hold();
        }}
      >
        <div class="grid-space" role="presentation" style={{ height: `${virtual.getTotalSize()}px` }}>
          <div role="presentation" style={{ transform: `translateY(${rows[0]?.start ?? 0}px)` }}>
            {rows.map((row) => rowOf(runs[row.index]!, row.index))}
          </div>
        </div>
      </div>
    </div>
  );
}

function Row({
  run,
  index,
  isMisfit,
  isAtCursor,
  isSelected,
  onPick,
  onToggle,
}: {
  run: RunView;
  index: number;
  isMisfit: boolean;
  isAtCursor: boolean;
  isSelected: boolean;
  onPick: () => void;
  onToggle: () => void;
}) {
  const classes = ["grid-row", isAtCursor && "at-cursor", isSelected && "is-selected", isMisfit && "is-misfit"];
  return (
    <div
      class={classes.filter(Boolean).join(" ")}
      role="row"
      id={`run-${index}`}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      onClick={onPick}
    >
      <span role="gridcell" class="cell-check">
        <input
          type="checkbox"
          tabIndex={-1}
          aria-label={`select ${run.id}`}
          checked={isSelected}
          onChange={onToggle}
          onClick={(event) => event.stopPropagation()}
        />
      </span>
      <span role="gridcell">
        <StatusMark look={lookOfRun(run)} />
      </span>
      <span role="gridcell" class="cut" title={run.workflow}>
        {run.workflow}
      </span>
      <span role="gridcell" class="cell-id">
        <A href={runPlace(run.id)} class="mono cut" tabIndex={-1}>
          {run.id}
        </A>
        {marked.value.includes(run.id) && <Chip title="marked for comparing">marked</Chip>}
      </span>
      <span role="gridcell" class="cut dim" title={printable(sayWhat(run))}>
        {printable(sayWhat(run))}
      </span>
      <span role="gridcell" class="cut">
        {Object.entries(run.attributes).map(([key, value]) => (
          <Chip key={key} title={printable(`${key}=${value}`)}>
            {printable(`${key}=${value}`)}
          </Chip>
        ))}
      </span>
      <span role="gridcell" class="cell-right">
        <RunDuration run={run} />
      </span>
      <span role="gridcell" class="cell-right dim">
        <Ago at={run.created_at} />
      </span>
    </div>
  );
}

/** Say in a few words why a run rests, or how it failed. */
export function sayWhat(run: RunView): string {
  if (run.attention) return run.attention.message;
  if (run.error) {
    const { code, type, message } = run.error;
    // That it was an exception of the run's own is what its class says.
    return [type && code === "USER_ERROR" ? null : code, type, message].filter(Boolean).join(" · ");
  }
  if (run.continued_as) return `continued as ${run.continued_as}`;
  if (run.origin) return `imported (${run.origin})`;
  return run.reason ? localize(run.reason, Date.now()) : "";
}

// Runs: what runs, what ran, and how it went.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call } from "../../api";
import type { RunView, WorkflowView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { type RunFilter, readFilter, writeFilter } from "../../model/filters";
import { placeOf, runPlace } from "../../model/places";
import { useAlone } from "../../state/alone";
import { useKeys } from "../../state/keyboard";
import { toggleMark } from "../../state/marked";
import { usePulse } from "../../state/pulse";
import { useResource } from "../../state/resource";
import { go, place, setParams } from "../../state/router";
import { toastFailure } from "../../state/toasts";
import { A, Button, Command, Empty, FailureNote, Loading, ScreenHead } from "../parts/small";
import { BulkBar } from "./BulkBar";
import { type Counts, countAll, countLoaded } from "./counts";
import { FilterBar } from "./FilterBar";
import { Histogram } from "./Histogram";
import { useRunList } from "./list";
import { RunsTable } from "./RunsTable";

/** Attributes of so many of the newest runs are offered in the filter. */
const COMPLETED_FROM = 2000;

export function RunsScreen() {
  const text = place.value?.params.get("q") ?? "";
  const { filter, problems } = useMemo(() => readFilter(text), [text]);
  const list = useRunList(filter);
  const [cursor, setCursor] = useState(-1);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { runs, aside, misfits, cursor: more } = list.table.value;
  const workflows = useResource("workflows", () => call("GET /api/workflows"));
  const known = useMemo(
    () => ({
      workflows: (workflows.state.value.data?.items ?? []).map((one) => one.id),
      attributes: [
        ...new Set(
          runs
            .slice(0, COMPLETED_FROM)
            .flatMap((run) => Object.entries(run.attributes).map(([key, value]) => `${key}=${value}`)),
        ),
      ],
    }),
    [workflows.state.value.data, runs.length < COMPLETED_FROM ? runs : null],
  );
  const counts = useCounts(filter, list.table.value.runs, more === null);

  const setText = (next: string) => {
    setCursor(-1);
    setSelected(new Set());
    setParams({ q: next || null });
  };
  const at = runs[cursor];
  const move = (step: number) => setCursor(Math.max(0, Math.min(runs.length - 1, cursor + step)));
  useEffect(() => {
    list.isHeld.value = cursor > 0 || selected.size > 0;
  }, [list, cursor, selected]);
  useKeys(
    [
      { keys: "/", label: "go to the filter", group: "runs", run: () => document.getElementById("filter")?.focus() },
      { keys: "j", label: "next run", group: "runs", run: () => move(1) },
      { keys: "k", label: "run before", group: "runs", run: () => move(-1) },
      { keys: "ArrowDown", label: "next run", group: "runs", run: () => move(1) },
      { keys: "ArrowUp", label: "run before", group: "runs", run: () => move(-1) },
      { keys: "Enter", label: "open the run", group: "runs", run: () => at && go(runPlace(at.id)) },
      {
        keys: "Space",
        label: "select the run",
        group: "runs",
        run: () => {
          if (!at) return;
          const next = new Set(selected);
          if (!next.delete(at.id)) next.add(at.id);
          setSelected(next);
        },
      },
      { keys: "x", label: "mark the run for comparing", group: "runs", run: () => at && toggleMark(at.id) },
      { keys: "n", label: "show new runs", group: "runs", run: () => showNew() },
      {
        keys: "Escape",
        label: "let go of the selection",
        group: "runs",
        run: () => {
          setSelected(new Set());
          setCursor(-1);
        },
      },
    ],
    [cursor, runs, selected, list],
  );

  const showNew = () => {
    document.querySelector(".grid-scroll")?.scrollTo(0, 0);
    setCursor(-1);
    list.isHeld.value = false;
    list.settle();
  };
  const onEnd = useCallback(() => list.more(), [list]);
  const onHold = useCallback(
    (isHeld: boolean) => {
      list.isHeld.value = isHeld || cursor > 0 || selected.size > 0;
      if (!list.isHeld.value) list.settle();
    },
    [list, cursor, selected],
  );

  const failure = list.failure.value;
  const isFirst = list.isLoading.value && runs.length === 0;
  return (
    <>
      <ScreenHead title="Runs">
        <Button icon="play" kind="main" onClick={() => go(placeOf("workflows"))}>
          Start a workflow
        </Button>
      </ScreenHead>
      <FilterBar text={text} onChange={setText} known={known} problems={problems} />
      {failure && <FailureNote failure={failure} again={() => list.reload()} />}
      {isFirst && !failure && <Loading what="runs" rows={12} />}
      {!isFirst && runs.length === 0 && !failure && (
        <NoRuns
          isFiltered={text !== ""}
          looked={list.looked.value}
          workflows={workflows.state.value.data?.items ?? []}
        />
      )}
      {runs.length > 0 && (
        <>
          <Histogram
            bins={counts.bins}
            isWhole={counts.isWhole}
            onBrush={(fromMs, toMs) => {
              const times = { after: new Date(fromMs).toISOString(), before: new Date(toMs).toISOString() };
              setText(writeFilter({ ...filter, ...times }));
            }}
          />
          <BulkBar
            runs={runs.filter((run) => selected.has(run.id))}
            filterText={text}
            onDone={() => setSelected(new Set())}
            shown={runs.length}
            hasMore={more !== null}
            looked={filter.words.length ? list.looked.value : null}
          />
          {aside.length > 0 && (
            <button type="button" class="new-runs" onClick={showNew}>
              {aside.length} new {aside.length === 1 ? "run" : "runs"} <kbd>n</kbd>
            </button>
          )}
          <RunsTable
            runs={runs}
            misfits={misfits}
            hasMore={more !== null}
            cursor={cursor}
            onCursor={setCursor}
            selected={selected}
            onSelect={setSelected}
            onEnd={onEnd}
            onHold={onHold}
          />
        </>
      )}
    </>
  );
}

const COUNT_MS = 4000;

/** Count what is loaded at once; where that is not all, ask SQL, and again while runs change. */
function useCounts(filter: RunFilter, runs: readonly RunView[], isWhole: boolean): Counts {
  const [asked, setAsked] = useState<{ key: string; counts: Counts } | null>(null);
  const counted = useRef<readonly RunView[] | null>(null);
  const key = writeFilter(filter);
  const isAsked = !isWhole && asked?.key === key;
  const loaded = useMemo(() => (isAsked ? null : countLoaded(runs, isWhole)), [isAsked, runs, isWhole]);
  const ask = (signal: AbortSignal) => {
    counted.current = runs;
    countAll(filter, signal).then(
      (counts) => counts && !signal.aborted && setAsked({ key, counts }),
      () => undefined, // then the loaded ones are shown, and say so
    );
  };
  useEffect(() => {
    if (isWhole) return;
    const abort = new AbortController();
    ask(abort.signal);
    return () => abort.abort();
  }, [key, isWhole]);
  usePulse(isWhole ? null : COUNT_MS, () => {
    if (counted.current !== runs) ask(new AbortController().signal);
  });
  return loaded ?? asked!.counts;
}

function NoRuns({
  isFiltered,
  looked,
  workflows,
}: {
  isFiltered: boolean;
  looked: number;
  workflows: readonly WorkflowView[];
}) {
  const [startIt, isStarting] = useAlone(startSample);
  if (isFiltered) {
    return (
      <Empty title="No run is like that">
        <p class="dim">{looked > 0 ? `${looked} runs were looked through.` : "The filter fits none of the runs."}</p>
        <Button onClick={() => setParams({ q: null })}>Show all runs</Button>
      </Empty>
    );
  }
  const easy = workflows.find((one) => one.parameters.every((parameter) => !parameter.is_required));
  const first = easy ?? workflows[0];
  if (!first) {
    return (
      <Empty title="Nothing has run yet, and no workflow is loaded">
        <p>
          A workflow is an <code>async def</code> with <code>@wf.workflow</code>. Make one, and it appears here:
        </p>
        <Command text="wf new workflow hello" />
      </Empty>
    );
  }
  return (
    <Empty title="Nothing has run yet">
      <p>Start a workflow here, or from a terminal:</p>
      <Command text={commandOf("start", first.name, ...needed(first))} />
      {easy ? (
        <Button kind="main" icon="play" disabled={isStarting} onClick={() => startIt(easy)}>
          {`Start ${easy.name}`}
        </Button>
      ) : (
        <A class="button button-main" href={placeOf("workflows", { workflow: first.id })}>
          Start {first.name} …
        </A>
      )}
    </Empty>
  );
}

function needed(workflow: WorkflowView): string[] {
  return workflow.parameters.filter((one) => one.is_required).map((one) => `${one.name}=…`);
}

async function startSample(workflow: WorkflowView): Promise<void> {
  try {
    const run = await call("POST /api/runs", { body: { workflow: workflow.id } });
    go(runPlace(run.id));
  } catch (error) {
    toastFailure(error);
  }
}

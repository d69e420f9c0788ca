// A run: what it is, where it stands, and every way to look at what it did.

import { useEffect } from "preact/hooks";
import type { LiveTrace } from "../../model/live_trace";
import { placeOf, runPlace } from "../../model/places";
import { useKeys } from "../../state/keyboard";
import { toggleMark } from "../../state/marked";
import { go, place, setParams } from "../../state/router";
import { lazyView } from "../parts/lazy";
import { A, Empty, FailureNote, Loading, Panel, Prose, Tabs } from "../parts/small";
import { isLive, type Part, type RunData, useRunData } from "./data";
import { EventsTab } from "./EventsTab";
import { Inspector } from "./Inspector";
import { LogsTab } from "./LogsTab";
import { RunHeader } from "./RunHeader";
import { StepsTab } from "./StepsTab";
import { StreamsTab } from "./StreamsTab";
import type { TimelineProps } from "./Timeline";

const Timeline = lazyView<TimelineProps>("the timeline", () => import("./Timeline").then((module) => module.Timeline));
const GraphTab = lazyView<GraphProps>("the graph", () => import("./GraphTab").then((module) => module.GraphTab));
const CodeTab = lazyView<{ data: RunData }>("the code", () => import("./CodeTab").then((module) => module.CodeTab));

interface GraphProps {
  trace: LiveTrace;
  selected: string | null;
  onSelect: (spanId: string) => void;
}

const TABS = [
  ["timeline", "Timeline"],
  ["code", "Code"],
  ["graph", "Graph"],
  ["events", "Events"],
  ["steps", "Steps"],
  ["streams", "Streams"],
  ["logs", "Logs"],
] as const;

export function RunScreen() {
  const id = place.value?.runId ?? "";
  const params = place.value?.params ?? new URLSearchParams();
  const data = useRunData(id);
  const tab = TABS.find(([one]) => one === params.get("tab"))?.[0] ?? "timeline";
  const span = params.get("span");
  const select = (spanId: string | null) => setParams({ span: spanId });
  const show = (next: string) => setParams({ tab: next === "timeline" ? null : next });
  useKeys(
    [
      ...TABS.map(([one, label], index) => ({
        keys: String(index + 1),
        label: `show ${label.toLowerCase()}`,
        group: "run",
        run: () => show(one),
      })),
      {
        keys: "/",
        label: "find in what is shown",
        group: "run",
        run: () => document.querySelector<HTMLInputElement>(".tab-bar input[type=search]")?.focus(),
      },
      { keys: "x", label: "mark the run for comparing", group: "run", run: () => toggleMark(id) },
      {
        keys: "u",
        label: "up to the run that started this one",
        group: "run",
        run: () => {
          const parent = data.run.data.value?.parent_run_id;
          if (parent) go(runPlace(parent));
        },
      },
      { keys: "Escape", label: "close the inspector", group: "run", run: () => select(null) },
    ],
    [id, data],
  );
  const run = data.run.data.value;
  const failure = data.run.failure.value;
  if (!run) {
    return failure ? (
      failure.status === 404 ? (
        <Empty title="There is no such run">
          <p class="dim">{failure.message}</p>
          {failure.hint && (
            <p class="dim">
              <Prose text={failure.hint} />
            </p>
          )}
          <p>
            <A href={placeOf("runs")}>Go to the runs</A>
          </p>
        </Empty>
      ) : (
        <FailureNote failure={failure} again={() => data.run.reload()} />
      )
    ) : (
      <Loading what="the run" rows={8} />
    );
  }
  return (
    <div class="run">
      <RunHeader run={run} data={data} />
      {failure && <FailureNote failure={failure} again={() => data.run.reload()} />}
      <Tabs
        label="views of the run"
        items={TABS.map(([one, label]) => ({ id: one, label }))}
        shown={tab}
        onShow={show}
      />
      <div class={span ? "run-body with-inspector" : "run-body"}>
        <Panel id={tab}>
          {tab === "timeline" && (
            <WithPart part={data.trace} what="the timeline">
              {(trace) => (
                <Timeline
                  trace={trace}
                  live={isLive(run)}
                  selectedId={span}
                  onSelect={select}
                  onOpen={select}
                  view={params.get("t")}
                  onView={(view) => setParams({ t: view })}
                />
              )}
            </WithPart>
          )}
          {tab === "code" && <CodeTab data={data} />}
          {tab === "graph" && (
            <WithPart part={data.trace} what="the graph">
              {(trace) => <GraphTab trace={trace} selected={span} onSelect={select} />}
            </WithPart>
          )}
          {tab === "events" && (
            <WithPart part={data.events} what="the events">
              {(events) => <EventsTab runId={id} events={events} onSelect={select} />}
            </WithPart>
          )}
          {tab === "steps" && (
            <WithPart part={data.steps} what="the steps">
              {(steps) => <StepsTab steps={steps} selected={span} onSelect={select} />}
            </WithPart>
          )}
          {tab === "streams" && (
            <WithPart part={data.streams} what="the streams">
              {(streams) => <StreamsTab runId={id} streams={streams} isLive={isLive(run)} />}
            </WithPart>
          )}
          {tab === "logs" && (
            <WithPart part={data.logs} what="the logs">
              {(logs) => <LogsTab logs={logs} isLive={isLive(run)} onSelect={select} />}
            </WithPart>
          )}
        </Panel>
        {span && <Inspector key={span} data={data} run={run} spanId={span} onClose={() => select(null)} />}
      </div>
    </div>
  );
}

/** Load a part when it is first shown; keep showing it while it fails to be read anew. */
export function WithPart<T>({
  part,
  what,
  children,
}: {
  part: Part<T>;
  what: string;
  children: (data: T) => preact.ComponentChildren;
}) {
  useEffect(() => part.want(), [part]);
  const data = part.data.value;
  const failure = part.failure.value;
  return (
    <>
      {failure && <FailureNote failure={failure} again={() => part.reload()} />}
      {data === null ? !failure && <Loading what={what} rows={10} /> : children(data)}
    </>
  );
}

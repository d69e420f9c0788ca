// Workflows: what there is to start, how it has gone, and a form made from its type hints.

import { useEffect, useMemo, useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { WorkflowView } from "../../api_types";
import { placeArguments } from "../../model/arguments";
import { startCommand } from "../../model/commands";
import { showCount, showDuration } from "../../model/instants";
import { placeOf, runPlace } from "../../model/places";
import { printable } from "../../model/printable";
import { writeType } from "../../model/python_types";
import { blank, type Draft, describe, fill, type Json, type Problem, read } from "../../model/schema_forms";
import { recall, remember } from "../../state/kept";
import { useKeys } from "../../state/keyboard";
import { hear } from "../../state/live";
import { useResource } from "../../state/resource";
import { go, place, setParams } from "../../state/router";
import { Icon } from "../parts/Icon";
import { Place, Placed, placeAt } from "../parts/Placed";
import { SchemaForm } from "../parts/SchemaForm";
import { A, Button, Chip, Command, Copy, Empty, FailureNote, Loading, Prose, ScreenHead } from "../parts/small";

export function WorkflowsScreen() {
  const loader = useResource("workflows", () => call("GET /api/workflows"));
  useEffect(() => {
    const ears = [hear("reload", () => loader.reload()), hear("anew", () => loader.reload())];
    return () => {
      for (const stop of ears) stop();
    };
  }, [loader]);
  const { data, failure } = loader.state.value;
  const [text, setText] = useState("");
  const asked = place.value?.params.get("workflow");
  const items = (data?.items ?? []).filter((one) => one.id.toLowerCase().includes(text.trim().toLowerCase()));
  const shown = asked ? data?.items.find((one) => one.id === asked) : items[0];
  const index = items.findIndex((one) => one.id === shown?.id);
  const move = (step: number) => {
    const next = items[Math.max(0, Math.min(items.length - 1, index + step))];
    if (next) setParams({ workflow: next.id });
  };
  useKeys(
    [
      { keys: "/", label: "find a workflow", group: "workflows", run: () => document.getElementById("find")?.focus() },
      { keys: "j", label: "next workflow", group: "workflows", run: () => move(1) },
      { keys: "k", label: "workflow before", group: "workflows", run: () => move(-1) },
    ],
    [items, index],
  );
  return (
    <>
      <ScreenHead title="Workflows" />
      {failure && <FailureNote failure={failure} again={() => loader.reload()} />}
      {!data && !failure && <Loading what="workflows" />}
      {data && data.items.length === 0 && (
        <Empty title="No workflow is loaded">
          <p>
            A workflow is an <code>async def</code> with <code>@wf.workflow</code>. Make one, and it appears here:
          </p>
          <Command text="wf new workflow hello" />
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <div class="two-columns">
          <nav class="side-list" aria-label="workflows">
            <input
              id="find"
              type="search"
              aria-label="find a workflow"
              placeholder="Find a workflow"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
            <ul>
              {items.map((one) => (
                <li key={one.id}>
                  <A
                    href={placeOf("workflows", { workflow: one.id })}
                    class="side-item"
                    aria-current={one.id === shown?.id ? "page" : undefined}
                  >
                    <span class="cut">{one.id}</span>
                    {one.findings.length > 0 && (
                      <span class="tone-warn" title={`${one.findings.length} findings`}>
                        <Icon name="bang" size={14} />
                        <span class="hidden-text">{one.findings.length} findings</span>
                      </span>
                    )}
                    {one.stats && (
                      <span class="dim num" title="runs among the newest 200">
                        {one.stats.runs}
                      </span>
                    )}
                  </A>
                </li>
              ))}
            </ul>
            {items.length === 0 && <p class="dim">None is called that.</p>}
          </nav>
          {shown && <Workflow key={shown.id} workflow={shown} />}
          {asked && !shown && (
            <Empty title="This workflow is not loaded">
              <p class="dim">
                No workflow of the code that serves now is called <code>{printable(asked)}</code>.
              </p>
            </Empty>
          )}
        </div>
      )}
    </>
  );
}

function Workflow({ workflow }: { workflow: WorkflowView }) {
  const { stats } = workflow;
  return (
    <div class="detail">
      <h2>{workflow.id}</h2>
      <p class="mono signature">
        async def {workflow.name}({workflow.parameters.map(writeParameter).join(", ")})
        <span class="dim">
          {" "}
          <Place place={placeAt(workflow.file, workflow.line)} />
        </span>
        <Copy text={`${workflow.file}:${workflow.line}`} what="copy file and line" />
      </p>
      {workflow.doc && (
        <p class="doc">
          <Prose text={printable(workflow.doc)} />
        </p>
      )}
      {stats && (
        <p class="dim">
          <A href={placeOf("runs", { q: `workflow:${workflow.id}` })}>Its runs</A>; of the newest 200:
        </p>
      )}
      {stats && (
        <dl class="figures">
          <Figure name="runs" value={showCount(stats.runs)} />
          <Figure name="in flight" value={showCount(stats.in_flight)} />
          <Figure
            name="failed"
            value={
              stats.failure_rate === null
                ? "–"
                : `${(stats.failure_rate * 100).toFixed(stats.failure_rate > 0 && stats.failure_rate < 0.1 ? 1 : 0)} %`
            }
            tone={stats.failed ? "bad" : undefined}
          />
          <Figure name="p50" value={showDuration(stats.p50_ms) || "–"} />
          <Figure name="p95" value={showDuration(stats.p95_ms) || "–"} />
        </dl>
      )}
      {workflow.findings.length > 0 && (
        <section aria-label="findings">
          <h3>Findings</h3>
          <ul class="findings">
            {workflow.findings.map((finding) => (
              <li key={`${finding.run_id} ${finding.message}`} class="note note-warn">
                <p class="note-title">
                  <Icon name="bang" size={14} />
                  <code class="slug">{finding.code}</code>
                  {finding.file && finding.line !== null && (
                    <code>
                      <Place place={placeAt(finding.file, finding.line, finding.column ?? 1)} />
                    </code>
                  )}
                  {finding.where && (
                    <code>
                      <Placed text={finding.where} />
                    </code>
                  )}
                </p>
                <p class="error-message">{printable(finding.message)}</p>
                {finding.why && <p>{printable(finding.why)}</p>}
                {finding.fix && <p>Fix: {printable(finding.fix)}</p>}
                {finding.run_id && (
                  <p>
                    <A href={runPlace(finding.run_id)} class="mono">
                      {finding.run_id}
                    </A>
                  </p>
                )}
              </li>
            ))}
          </ul>
        </section>
      )}
      <StartForm workflow={workflow} />
    </div>
  );
}

function Figure({ name, value, tone }: { name: string; value: string; tone?: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={`num ${tone ? `tone-${tone}` : ""}`}>{value}</dd>
    </div>
  );
}

function writeParameter(parameter: WorkflowView["parameters"][number]): string {
  const star = parameter.kind === "args" ? "*" : parameter.kind === "kwargs" ? "**" : "";
  const type = writeType(parameter.schema);
  const fallback = parameter.default === null ? "" : `${type ? " = " : "="}${parameter.default}`;
  return `${star}${parameter.name}${type ? `: ${type}` : ""}${fallback}`;
}

const KEPT_INPUTS = 5;
const LEFT_OUT = "give it, too: values that go by place stand behind it";

function StartForm({ workflow }: { workflow: WorkflowView }) {
  const field = useMemo(() => {
    const described = describe(workflow.schema);
    if (described.kind !== "object") return described;
    const properties = described.properties.map((one) => ({
      ...one,
      fallback: workflow.parameters.find((parameter) => parameter.name === one.name)?.default ?? one.fallback,
    }));
    return { ...described, properties };
  }, [workflow]);
  const memory = `inputs.${workflow.id}`;
  const [inputs, setInputs] = useState(() => recall<Json[]>(memory, []));
  const [draft, setDraft] = useState<Draft>(() => (inputs[0] === undefined ? blank(field) : fill(field, inputs[0])));
  const [id, setId] = useState("");
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const reading = read(field, draft);
  const { args, named, missing } = placeArguments(workflow.parameters, (reading.value ?? {}) as Record<string, Json>);

  const start = async () => {
    setProblems(reading.problems);
    if (isBusy || reading.value === undefined) return;
    setBusy(true);
    setFailure(null);
    try {
      if (missing !== null) throw new Failure("usage", `${missing} is left out`, null, LEFT_OUT, 400);
      const run = await call("POST /api/runs", {
        body: { workflow: workflow.id, args, kwargs: named, ...(id.trim() ? { id: id.trim() } : {}) },
      });
      const text = JSON.stringify(reading.value);
      const kept = [reading.value, ...inputs.filter((one) => JSON.stringify(one) !== text)].slice(0, KEPT_INPUTS);
      remember(memory, kept);
      setInputs(kept);
      go(runPlace(run.id));
    } catch (error) {
      setFailure(Failure.from(error));
    }
    setBusy(false);
  };
  return (
    <form
      class="start-form"
      aria-label={`start ${workflow.name}`}
      onSubmit={(event) => {
        event.preventDefault();
        void start();
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          if (!event.repeat) void start();
        }
      }}
    >
      <div class="form-title">
        <h3>Start a run</h3>
        {inputs.length > 0 && (
          <select
            aria-label="inputs that were given before"
            value=""
            onChange={(event) => {
              const chosen = inputs[Number(event.currentTarget.value)];
              if (event.currentTarget.value !== "" && chosen !== undefined) setDraft(fill(field, chosen));
              event.currentTarget.value = "";
            }}
          >
            <option value="">Earlier inputs</option>
            {inputs.map((one, index) => (
              <option key={index} value={String(index)}>
                {JSON.stringify(one).slice(0, 80)}
              </option>
            ))}
          </select>
        )}
        <Button
          kind="quiet"
          onClick={() => {
            setDraft(blank(field));
            setProblems([]);
          }}
        >
          Clear
        </Button>
      </div>
      <SchemaForm field={field} draft={draft} onChange={setDraft} problems={problems} />
      <div class="form-row">
        <div class="form-head">
          <span class="form-name mono">id</span>
          <span class="form-type dim">the run’s id, optional: the same id starts once</span>
        </div>
        <input
          type="text"
          class="mono"
          aria-label="the run’s id"
          value={id}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </div>
      {failure && <FailureNote failure={failure} />}
      <Command text={startCommand(workflow.name, args, named, id.trim() || null)} />
      <div class="form-actions">
        <Button kind="main" icon="play" type="submit" disabled={isBusy}>
          {`Start ${workflow.name}`}
        </Button>
        <Chip>Ctrl Enter</Chip>
      </div>
    </form>
  );
}

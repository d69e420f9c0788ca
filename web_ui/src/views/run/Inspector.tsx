// The inspector: everything about one call of the body, beside whatever view it was chosen in.

import { useEffect, useRef, useState } from "preact/hooks";
import { call, urlOf } from "../../api";
import type { EventView, RunView, Span } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showClock, showDuration, showInstant } from "../../model/instants";
import type { LiveTrace } from "../../model/live_trace";
import { placeOf, runPlace } from "../../model/places";
import { useResource } from "../../state/resource";
import { Icon } from "../parts/Icon";
import { ErrorBlock, Payload } from "../parts/Payload";
import { A, Button, Command, FailureNote, Loading, Status } from "../parts/small";
import { type RunData, readEvent, readStep, useRunData, WHOLE_BYTES } from "./data";
import { ForkDialog } from "./ForkDialog";
import { useGrowing } from "./growing";
import { ReplayStepDialog } from "./ReplayStepDialog";
import { TestDialog } from "./TestDialog";

interface InspectorProps {
  data: RunData;
  run: RunView;
  spanId: string;
  onClose: () => void;
}

/** A call that the timeline shows within a child run has that run's id in front of its number. */
export function Inspector({ spanId, ...rest }: InspectorProps) {
  const at = spanId.lastIndexOf("/");
  if (at < 0) return <OneCall {...rest} spanId={spanId} isNested={false} />;
  return <NestedCall runId={spanId.slice(0, at)} spanId={spanId.slice(at + 1)} onClose={rest.onClose} />;
}

function NestedCall({ runId, spanId, onClose }: { runId: string; spanId: string; onClose: () => void }) {
  const data = useRunData(runId);
  const run = data.run.data.value;
  const failure = data.run.failure.value;
  if (run) return <OneCall data={data} run={run} spanId={spanId} onClose={onClose} isNested />;
  return (
    <aside class="inspector" aria-label="inspector">
      <Head title={spanId} onClose={onClose} />
      {failure ? (
        <FailureNote failure={failure} again={() => data.run.reload()} />
      ) : (
        <Loading what="the call of a child run" />
      )}
    </aside>
  );
}

function OneCall({ data, run, spanId, onClose, isNested }: InspectorProps & { isNested: boolean }) {
  useEffect(() => data.trace.want(), [data]);
  const trace = data.trace.data.value;
  const failure = data.trace.failure.value;
  if (trace) return <Call {...{ data, run, spanId, onClose, isNested, trace }} />;
  return (
    <aside class="inspector" aria-label="inspector">
      <Head title={spanId} onClose={onClose} />
      {failure ? <FailureNote failure={failure} again={() => data.trace.reload()} /> : <Loading what="the call" />}
    </aside>
  );
}

function Call({
  data,
  run,
  spanId,
  onClose,
  isNested,
  trace,
}: InspectorProps & { isNested: boolean; trace: LiveTrace }) {
  const span = useGrowing(trace, (live) => live.show(spanId));
  return (
    <aside class="inspector" aria-label="inspector">
      <Head title={span ? span.name : spanId} onClose={onClose} />
      {isNested && (
        <p class="dim">
          of the child run{" "}
          <A href={runPlace(run.id, { span: spanId === "run" ? null : spanId })} class="mono">
            {run.id}
          </A>
        </p>
      )}
      {!span && <p class="dim">This run has no call of that number.</p>}
      {span && <SpanFacts span={span} run={run} />}
      {span?.kind === "step" && <StepPart data={data} run={run} span={span} />}
      {span?.kind === "hook" && <HookPart run={run} span={span} />}
      {span && span.kind !== "step" && span.kind !== "run" && <EventsPart data={data} span={span} />}
      {span && span.kind !== "run" && <LogsPart data={data} span={span} />}
    </aside>
  );
}

function Head({ title, onClose }: { title: string; onClose: () => void }) {
  return (
    <header>
      <h2 class="cut" title={title}>
        {title}
      </h2>
      <button
        type="button"
        class="button button-quiet"
        aria-label="close the inspector"
        title="close (Esc)"
        onClick={onClose}
      >
        <Icon name="cross" size={14} />
      </button>
    </header>
  );
}

function SpanFacts({ span, run }: { span: Span; run: RunView }) {
  const tookMs = span.end_ms === null ? null : span.end_ms - span.start_ms;
  const queued = span.segments.filter((one) => one.kind === "queued" && one.end_ms !== null);
  const queuedMs = queued.reduce((sum, one) => sum + (one.end_ms! - one.start_ms), 0);
  return (
    <dl class="facts">
      <Fact name="status">
        <Status status={span.status} />
      </Fact>
      <Fact name="kind">
        {span.kind}
        {span.correlation_id === null ? "" : `, call ${span.correlation_id}`}
      </Fact>
      <Fact name="began">
        <span class="num" title={showInstant(span.at)}>
          {showClock(span.at)}
        </span>
      </Fact>
      {tookMs !== null && (
        <Fact name="took">
          <span class="num">{showDuration(tookMs)}</span>
          {queuedMs > 1 && <span class="dim num"> · queued {showDuration(queuedMs)}</span>}
        </Fact>
      )}
      {span.due_at && (
        <Fact name="due">
          <span class="num">{showInstant(span.due_at)}</span>
        </Fact>
      )}
      {span.child_run_id && (
        <Fact name="run">
          <A href={runPlace(span.child_run_id)} class="mono">
            {span.child_run_id}
          </A>
        </Fact>
      )}
      {span.error_type && <Fact name="error">{span.error_type}</Fact>}
      {span.is_inherited && <Fact name="inherited">from {run.forked_from}</Fact>}
      <Fact name="events">
        <A href={runPlace(run.id, { tab: "events", span: span.id })}>
          {span.seq}
          {span.end_seq === null ? "" : ` … ${span.end_seq}`}
        </A>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function StepPart({ data, run, span }: { data: RunData; run: RunView; span: Span }) {
  const loader = useResource(`${data.id} ${span.correlation_id}`, (signal) =>
    readStep(data.id, span.correlation_id!, signal),
  );
  const [asked, setAsked] = useState<"replay" | "fork" | "test" | null>(null);
  const state = `${span.status} ${span.end_seq} ${span.attempts}`;
  const readState = useRef(state);
  useEffect(() => {
    if (readState.current === state) return;
    readState.current = state;
    loader.reload();
  }, [loader, state]);
  const { data: step, failure } = loader.state.value;
  const note = failure && <FailureNote failure={failure} again={() => loader.reload()} />;
  if (!step) return note ?? <Loading what="the step" rows={4} />;
  const page = { cursor: Math.max(0, step.correlation_id - 1), limit: 1, max_bytes: WHOLE_BYTES };
  const whole = urlOf("/api/runs/{id}/steps", { id: run.id }, page);
  const lastError = step.error ?? step.attempts.findLast((one) => one.error)?.error ?? null;
  return (
    <>
      {note}
      <div class="inspector-actions">
        {step.attempts.length > 0 && (
          <Button icon="again" onClick={() => setAsked("replay")}>
            Replay step …
          </Button>
        )}
        <Button icon="fork" onClick={() => setAsked("fork")}>
          Fork from here …
        </Button>
        {step.attempts.length > 0 && (
          <Button
            icon="check"
            title="a test that replays the run, and tries this step"
            onClick={() => setAsked("test")}
          >
            As pytest …
          </Button>
        )}
      </div>
      {step.error && (
        <section aria-label="error">
          <h3>Error</h3>
          <ErrorBlock error={step.error} />
        </section>
      )}
      <section aria-label="input">
        <h3>Input</h3>
        <Payload value={step.input} label="input" isLocked={step.is_locked} whole={whole} />
      </section>
      {step.status === "completed" && (
        <section aria-label="output">
          <h3>Output</h3>
          <Payload value={step.output} label="output" isLocked={step.is_locked} whole={whole} />
        </section>
      )}
      {(step.attempts.length > 1 || (!step.error && lastError)) && (
        <section aria-label="attempts">
          <h3>Attempts</h3>
          <ol class="attempts">
            {step.attempts.map((attempt) => (
              <li key={attempt.number}>
                <details>
                  <summary>
                    <span class="num">{attempt.number}</span> <Status status={attempt.status} />
                    <span class="num dim">{showDuration(attempt.duration_ms)}</span>
                    {attempt.error && <span class="cut tone-bad">{attempt.error.type}</span>}
                  </summary>
                  {attempt.error ? <ErrorBlock error={attempt.error} /> : <p class="dim">It ended without an error.</p>}
                </details>
              </li>
            ))}
          </ol>
        </section>
      )}
      <section aria-label="commands">
        <h3>The same in a terminal</h3>
        <Command text={commandOf("inspect", "step", step.id)} />
        <Command text={commandOf("replay", run.id, "--step", String(step.correlation_id))} />
      </section>
      {asked === "replay" && <ReplayStepDialog step={step} onClose={() => setAsked(null)} />}
      {asked === "test" && <TestDialog runId={run.id} step={step} onClose={() => setAsked(null)} />}
      {asked === "fork" && <ForkDialog run={run} step={step} onClose={() => setAsked(null)} />}
    </>
  );
}

function HookPart({ run, span }: { run: RunView; span: Span }) {
  const loader = useResource(`${run.id} ${span.correlation_id} ${span.status}`, () =>
    call("GET /api/hooks", { query: { run: run.id } }),
  );
  const hook = loader.state.value.data?.items.find((one) => one.correlation_id === span.correlation_id);
  if (!hook?.token) return null;
  return (
    <section aria-label="hook">
      <h3>It waits for you</h3>
      <p>
        <A class="button button-main" href={placeOf("hooks", { token: hook.token })}>
          Resume {hook.token} …
        </A>
      </p>
      {hook.metadata !== null && <Payload value={hook.metadata} label="metadata" />}
    </section>
  );
}

/** Of what is no step: its events, with their payloads. */
function EventsPart({ data, span }: { data: RunData; span: Span }) {
  useEffect(() => data.events.want(), [data]);
  const events = (data.events.data.value ?? []).filter((event) => event.correlation_id === span.correlation_id);
  return (
    <section aria-label="events">
      <h3>Events</h3>
      {events.map((event) => (
        <OneEvent key={event.seq} runId={data.id} event={event} />
      ))}
    </section>
  );
}

function OneEvent({ runId, event }: { runId: string; event: EventView }) {
  const [whole, setWhole] = useState(event);
  return (
    <details
      class="one-event"
      onToggle={(toggle) => {
        if (!(toggle.currentTarget as HTMLDetailsElement).open) return;
        void readEvent(runId, event.seq).then(
          (found) => found && setWhole(found),
          () => undefined,
        );
      }}
    >
      <summary>
        <span class="num dim">{event.seq}</span> {event.type} <span class="num dim">{showClock(event.at)}</span>
      </summary>
      {Object.keys(event.meta).length > 0 && <Payload value={event.meta} label={`meta of event ${event.seq}`} />}
      {event.payload_bytes > 0 && (
        <Payload value={whole.payload} label={`payload of event ${event.seq}`} isLocked={whole.is_locked} />
      )}
    </details>
  );
}

function LogsPart({ data, span }: { data: RunData; span: Span }) {
  useEffect(() => data.logs.want(), [data]);
  const lines = (data.logs.data.value ?? []).filter((line) => line.correlation_id === span.correlation_id);
  if (lines.length === 0) return null;
  return (
    <section aria-label="logs">
      <h3>Logs</h3>
      <pre class="raw" tabIndex={0}>
        {lines.slice(-500).map((line) => `${line.text}\n`)}
      </pre>
    </section>
  );
}

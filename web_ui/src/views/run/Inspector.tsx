// The inspector: everything about one call of the body, beside whatever view it was chosen in.

import { useEffect, useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { EventView, HookView, RunView, Span, StepView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showClock, showDuration, showInstant } from "../../model/instants";
import { placeOf, runPlace } from "../../model/places";
import { Icon } from "../parts/Icon";
import { ErrorBlock, Payload } from "../parts/Payload";
import { A, Button, Command, FailureNote, Loading, Status } from "../parts/small";
import { type RunData, readEvent, readStep } from "./data";
import { ForkDialog } from "./ForkDialog";
import { ReplayStepDialog } from "./ReplayStepDialog";

export function Inspector({
  data,
  run,
  spanId,
  onClose,
}: {
  data: RunData;
  run: RunView;
  spanId: string;
  onClose: () => void;
}) {
  useEffect(() => data.trace.want(), [data]);
  const span = data.trace.data.value?.spans.find((one) => one.id === spanId) ?? null;
  return (
    <aside class="inspector" aria-label="inspector">
      <header>
        <h2 class="cut" title={span?.name}>
          {span ? span.name : spanId}
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
      {!span && data.trace.data.value === null && !data.trace.failure.value && <Loading what="the call" />}
      {!span && data.trace.data.value !== null && <Elsewhere spanId={spanId} />}
      {data.trace.failure.value && <FailureNote failure={data.trace.failure.value} again={() => data.trace.reload()} />}
      {span && <SpanFacts span={span} run={run} />}
      {span?.kind === "step" && <StepPart data={data} run={run} span={span} />}
      {span?.kind === "hook" && <HookPart run={run} span={span} />}
      {span && span.kind !== "step" && span.kind !== "run" && <EventsPart data={data} span={span} />}
      {span && span.kind !== "run" && <LogsPart data={data} span={span} />}
    </aside>
  );
}

/** A call that the timeline shows within a child run has that run's id in front of its number. */
function Elsewhere({ spanId }: { spanId: string }) {
  const at = spanId.lastIndexOf("/");
  if (at < 0) return <p class="dim">This run has no call of that number.</p>;
  const [runId, id] = [spanId.slice(0, at), spanId.slice(at + 1)];
  return (
    <>
      <p>It is a call of the child run</p>
      <p>
        <A href={runPlace(runId, { span: id === "run" ? null : id })} class="mono">
          {runId}
        </A>
      </p>
    </>
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
  const [step, setStep] = useState<StepView | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [asked, setAsked] = useState<"replay" | "fork" | null>(null);
  const key = `${span.status} ${span.end_seq} ${span.attempts}`;
  useEffect(() => {
    const abort = new AbortController();
    readStep(data.id, span.correlation_id!, abort.signal).then(setStep, (error: unknown) => {
      if (!abort.signal.aborted) setFailure(Failure.from(error));
    });
    return () => abort.abort();
  }, [data, span.correlation_id, key]);
  if (failure) return <FailureNote failure={failure} />;
  if (!step) return <Loading what="the step" rows={4} />;
  const lastError = step.error ?? step.attempts.findLast((one) => one.error)?.error ?? null;
  return (
    <>
      <div class="inspector-actions">
        {step.attempts.length > 0 && (
          <Button icon="again" onClick={() => setAsked("replay")}>
            Replay step …
          </Button>
        )}
        <Button icon="fork" onClick={() => setAsked("fork")}>
          Fork from here …
        </Button>
      </div>
      {step.error && (
        <section aria-label="error">
          <h3>Error</h3>
          <ErrorBlock error={step.error} />
        </section>
      )}
      <section aria-label="input">
        <h3>Input</h3>
        <Payload value={step.input} label="input" isLocked={step.is_locked} />
      </section>
      {step.status === "completed" && (
        <section aria-label="output">
          <h3>Output</h3>
          <Payload value={step.output} label="output" isLocked={step.is_locked} />
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
      {asked === "fork" && <ForkDialog run={run} step={step} onClose={() => setAsked(null)} />}
    </>
  );
}

function HookPart({ run, span }: { run: RunView; span: Span }) {
  const [hook, setHook] = useState<HookView | null>(null);
  useEffect(() => {
    call("GET /api/hooks", { query: { run: run.id } }).then(
      ({ items }) => setHook(items.find((one) => one.correlation_id === span.correlation_id) ?? null),
      () => setHook(null),
    );
  }, [run.id, span.correlation_id, span.status]);
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

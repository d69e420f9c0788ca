// Compare: two runs call by call, or one run against what code would do with it.

import { useEffect, useState } from "preact/hooks";
import { call } from "../../api";
import type { ChangeView, DiffCallView, DiffRunView, DiffView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showDuration } from "../../model/instants";
import { showInline } from "../../model/payloads";
import { runPlace } from "../../model/places";
import { marked } from "../../state/marked";
import { useResource } from "../../state/resource";
import { place, setParams } from "../../state/router";
import { Icon } from "../parts/Icon";
import { Placed } from "../parts/Placed";
import { A, Button, Chip, Command, Empty, FailureNote, Loading, ScreenHead, Status } from "../parts/small";

export function CompareScreen() {
  const params = place.value?.params ?? new URLSearchParams();
  const one = params.get("one") ?? marked.value[0] ?? "";
  const other = params.get("other") ?? marked.value[1] ?? "";
  const [isAll, setAll] = useState(false);
  const code = params.get("code");
  return (
    <>
      <ScreenHead title="Compare">
        <div class="segmented" role="group" aria-label="compare">
          <button type="button" aria-pressed={code === null} onClick={() => setParams({ code: null })}>
            two runs
          </button>
          <button type="button" aria-pressed={code !== null} onClick={() => setParams({ code: "today" })}>
            a run with code
          </button>
        </div>
      </ScreenHead>
      {code === null ? (
        <>
          <Chooser one={one} other={other} />
          {one && other ? (
            <TwoRuns key={`${one} ${other} ${isAll}`} one={one} other={other} isAll={isAll} onAll={setAll} />
          ) : (
            <Empty title="Choose two runs">
              <p class="dim">
                Mark two with <kbd>x</kbd>, in the list of runs or at a run; or give their ids here.
              </p>
            </Empty>
          )}
        </>
      ) : (
        <WithCode run={one} code={code} against={params.get("against") ?? ""} />
      )}
    </>
  );
}

function Chooser({ one, other }: { one: string; other: string }) {
  const [left, setLeft] = useState(one);
  const [right, setRight] = useState(other);
  useEffect(() => {
    setLeft(one);
    setRight(other);
  }, [one, other]);
  return (
    <form
      class="chooser"
      onSubmit={(event) => {
        event.preventDefault();
        setParams({ one: left.trim(), other: right.trim() });
      }}
    >
      <label>
        <span class="side-a">A</span>
        <input
          type="text"
          class="mono"
          aria-label="run A"
          placeholder="a run’s id"
          value={left}
          onInput={(event) => setLeft(event.currentTarget.value)}
        />
      </label>
      <Button
        icon="compare"
        aria-label="swap the two"
        title="swap the two"
        onClick={() => setParams({ one: right.trim(), other: left.trim() })}
      />
      <label>
        <span class="side-b">B</span>
        <input
          type="text"
          class="mono"
          aria-label="run B"
          placeholder="another run’s id"
          value={right}
          onInput={(event) => setRight(event.currentTarget.value)}
        />
      </label>
      <Button type="submit" kind="main">
        Compare
      </Button>
    </form>
  );
}

function TwoRuns({
  one,
  other,
  isAll,
  onAll,
}: {
  one: string;
  other: string;
  isAll: boolean;
  onAll: (isAll: boolean) => void;
}) {
  const loader = useResource(`${one} ${other} ${isAll}`, (signal) =>
    call("GET /api/diff", { query: { a: one, b: other, all: isAll }, signal }),
  );
  const { data, failure } = loader.state.value;
  if (failure) return <FailureNote failure={failure} again={() => loader.reload()} />;
  if (!data) return <Loading what="the comparison" rows={10} />;
  return (
    <div class="compare">
      <Summary diff={data} />
      <Command text={commandOf("diff", one, other)} />
      <Changes title="Input" changes={data.input} />
      <Changes title="Output" changes={data.output} />
      <Changes title="Attributes" changes={data.attributes} />
      <div class="tab-bar">
        <h2>Calls</h2>
        <span class="num dim">
          {data.same_calls} same, {data.changed_calls} changed, {data.only_a} only in A, {data.only_b} only in B
        </span>
        <div class="segmented" role="group" aria-label="calls to show">
          <button type="button" aria-pressed={!isAll} onClick={() => onAll(false)}>
            that differ
          </button>
          <button type="button" aria-pressed={isAll} onClick={() => onAll(true)}>
            all
          </button>
        </div>
      </div>
      {data.calls.length === 0 && <p class="dim">No call differs.</p>}
      {data.calls.map((one_) => (
        <Call key={`${one_.kind} ${one_.name} ${one_.occurrence}`} call_={one_} diff={data} />
      ))}
      {data.more_calls > 0 && <p class="dim">… and {data.more_calls} more</p>}
    </div>
  );
}

function Summary({ diff }: { diff: DiffView }) {
  return (
    <>
      <div class="compare-heads">
        <Side name="A" run={diff.a} />
        <Side name="B" run={diff.b} />
      </div>
      <p class={diff.is_same ? "verdict-clean" : "verdict-differs"}>
        <Icon name={diff.is_same ? "check" : "bang"} size={14} />
        {diff.is_same
          ? "They differ in nothing but times and ids."
          : `First difference: ${diff.divergence?.text ?? "in what came of them"}`}
        {diff.divergence?.seq_a != null && <span class="dim num"> · event {diff.divergence.seq_a} of A</span>}
        {diff.divergence?.seq_b != null && <span class="dim num"> · event {diff.divergence.seq_b} of B</span>}
        {diff.delta_ms !== null && (
          <span class="num dim">
            {" "}
            · B took {showDuration(Math.abs(diff.delta_ms))} {diff.delta_ms < 0 ? "less" : "more"}
          </span>
        )}
      </p>
      {diff.is_locked && <p class="tone-warn">Payloads could not be opened: only what is clear was compared.</p>}
    </>
  );
}

function Side({ name, run }: { name: "A" | "B"; run: DiffRunView }) {
  return (
    <div class="compare-side">
      <span class={`side-${name.toLowerCase()}`}>{name}</span>
      <Status status={run.status} />
      <A href={runPlace(run.id)} class="mono cut">
        {run.id}
      </A>
      <span class="dim">{run.workflow}</span>
      <span class="num">{showDuration(run.duration_ms)}</span>
      <span class="num dim">{run.events} events</span>
    </div>
  );
}

function Changes({ title, changes }: { title: string; changes: readonly ChangeView[] }) {
  if (changes.length === 0) return null;
  return (
    <section aria-label={`${title} differs`}>
      <h3>{title}</h3>
      <ChangeTable changes={changes} />
    </section>
  );
}

export function ChangeTable({ changes }: { changes: readonly ChangeView[] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="differences">
      <table class="plain-table change-table">
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">A</th>
            <th scope="col">B</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <tr key={change.path}>
              <td class="mono">{change.path}</td>
              <td class="mono diff-before">{change.kind === "added" ? "–" : showInline(change.before, 300)}</td>
              <td class="mono diff-after">{change.kind === "removed" ? "–" : showInline(change.after, 300)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const STATES: Record<DiffCallView["state"], [string, string]> = {
  same: ["same", "idle"],
  changed: ["changed", "warn"],
  only_a: ["only in A", "bad"],
  only_b: ["only in B", "good"],
};

function Call({ call_, diff }: { call_: DiffCallView; diff: DiffView }) {
  const [text, tone] = STATES[call_.state];
  const hasMore = call_.input.length > 0 || call_.output.length > 0;
  return (
    <details class="compare-call" open={hasMore}>
      <summary>
        <Chip tone={tone}>{text}</Chip>
        <strong>{call_.name}</strong>
        {call_.occurrence > 1 && <span class="dim num">#{call_.occurrence}</span>}
        <span class="dim">{call_.kind}</span>
        <span class="num">
          {call_.a && `A ${showDuration(call_.a.duration_ms)}`} {call_.b && `B ${showDuration(call_.b.duration_ms)}`}
        </span>
        {call_.delta_ms !== null && Math.abs(call_.delta_ms) >= 1 && (
          <span class={`num ${call_.delta_ms > 0 ? "tone-bad" : "tone-good"}`}>
            {call_.delta_ms > 0 ? "+" : "−"}
            {showDuration(Math.abs(call_.delta_ms))}
          </span>
        )}
      </summary>
      <p class="compare-links">
        {call_.a && (
          <A class="button button-quiet" href={runPlace(diff.a.id, { span: String(call_.a.correlation_id) })}>
            show it in A
          </A>
        )}
        {call_.b && (
          <A class="button button-quiet" href={runPlace(diff.b.id, { span: String(call_.b.correlation_id) })}>
            show it in B
          </A>
        )}
      </p>
      {call_.input.length > 0 && <ChangeTable changes={call_.input} />}
      {call_.output.length > 0 && <ChangeTable changes={call_.output} />}
      {call_.more_changes > 0 && <p class="dim">… and {call_.more_changes} more places</p>}
      {!hasMore && (
        <p class="dim">
          {call_.state === "same" ? "It is the same in both." : "Its values are the same, or it is in one only."}
        </p>
      )}
    </details>
  );
}

function WithCode({ run, code, against }: { run: string; code: string; against: string }) {
  const deployments = useResource("deployments", () => call("GET /api/deployments"));
  const [id, setId] = useState(run);
  const loader = useResource(run ? `${run} ${code} ${against}` : null, () =>
    call("POST /api/runs/{id}/diff", { path: { id: run }, body: { codes: against ? [code, against] : [code] } }),
  );
  const { data, failure, isLoading } = loader.state.value;
  const choices = ["today", "latest", "own", ...(deployments.state.value.data?.items.map((one) => one.id) ?? [])];
  return (
    <>
      <form
        class="chooser"
        onSubmit={(event) => {
          event.preventDefault();
          setParams({ one: id.trim() });
        }}
      >
        <label>
          <input
            type="text"
            class="mono"
            aria-label="run"
            placeholder="a run’s id"
            value={id}
            onInput={(event) => setId(event.currentTarget.value)}
          />
        </label>
        <label>
          replayed by{" "}
          <select value={code} onChange={(event) => setParams({ code: event.currentTarget.value })}>
            {choices.map((one) => (
              <option key={one} value={one}>
                {one.slice(0, 20)}
              </option>
            ))}
          </select>
        </label>
        <label>
          and by{" "}
          <select value={against} onChange={(event) => setParams({ against: event.currentTarget.value || null })}>
            <option value="">nothing else</option>
            {choices.map((one) => (
              <option key={one} value={one}>
                {one.slice(0, 20)}
              </option>
            ))}
          </select>
        </label>
        <Button type="submit" kind="main">
          Replay
        </Button>
      </form>
      {!run && (
        <Empty title="Choose a run">
          <p class="dim">It is replayed without any effect: no event is written, no step runs.</p>
        </Empty>
      )}
      {run && failure && <FailureNote failure={failure} again={() => loader.reload()} />}
      {run && isLoading && !data && <Loading what="the replay" />}
      {run && data && (
        <div class="compare">
          <Command text={commandOf("diff", run, "--code", code, ...(against ? ["--code", against] : []))} />
          {data.codes.map((verdict, index) => (
            <section class="compare-code" key={index} aria-label={`with ${index === 0 ? code : against}`}>
              <h3>
                {index === 0 ? code : against}
                <Chip tone={verdict.outcome === "clean" ? "good" : verdict.outcome === "extends" ? "active" : "bad"}>
                  {verdict.outcome.replace("_", " ")}
                </Chip>
                {data.codes.length > 1 && data.first === index && <Chip tone="warn">parts first</Chip>}
              </h3>
              {verdict.recorded && <p class="mono diff-before">{verdict.recorded}</p>}
              {verdict.actual && <p class="mono diff-after">{verdict.actual}</p>}
              {verdict.where && (
                <p class="mono dim">
                  at <Placed text={verdict.where} />
                </p>
              )}
              {!verdict.recorded && verdict.message && <p>{verdict.message}</p>}
            </section>
          ))}
          {data.files.length > 0 && (
            <p>
              Files that differ: <code>{data.files.join(", ")}</code>
            </p>
          )}
        </div>
      )}
    </>
  );
}

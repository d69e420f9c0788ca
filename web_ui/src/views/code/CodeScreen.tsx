// Code: which code serves, which runs do not fit it and what can be done about them, what was deployed when.

import { useEffect, useMemo, useState } from "preact/hooks";
import { call, readText } from "../../api";
import type { DeploymentView, ReplayView, Verdict } from "../../api_types";
import { commandOf } from "../../model/commands";
import { sayMany, showCount, showInstant } from "../../model/instants";
import { type DiffLine, diffLines } from "../../model/line_diff";
import { placeOf, runPlace } from "../../model/places";
import { type Token, tokenize } from "../../model/python_tokens";
import { useAlone } from "../../state/alone";
import { dev, diverging, isDev, readDev, wordsOf } from "../../state/dev";
import { hear } from "../../state/live";
import { useResource } from "../../state/resource";
import { place, setParams } from "../../state/router";
import { toast, toastFailure } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { Placed } from "../parts/Placed";
import { A, Ago, Button, Chip, Command, Empty, FailureNote, Loading, ScreenHead } from "../parts/small";
import { Tokens } from "../parts/Tokens";

export function CodeScreen() {
  const deployments = useResource("deployments", () => call("GET /api/deployments"));
  const inFlight = useResource("in flight", () =>
    call("GET /api/runs", { query: { status: ["pending", "running"], limit: 1000 } }),
  );
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        inFlight.reload();
      }, 1000);
    };
    const all = () => {
      deployments.reload();
      soon();
    };
    const ears = [hear("run", soon), hear("runs", soon), hear("reload", all), hear("anew", all)];
    return () => {
      clearTimeout(timer);
      for (const stop of ears) stop();
    };
  }, [deployments, inFlight]);
  const { data, failure } = deployments.state.value;
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const run of inFlight.state.value.data?.items ?? []) {
      if (run.deployment_id) found.set(run.deployment_id, (found.get(run.deployment_id) ?? 0) + 1);
    }
    return found;
  }, [inFlight.state.value.data]);
  const hasMore = inFlight.state.value.data?.cursor != null;
  const chosen = place.value?.params.get("deployment") ?? data?.items[0]?.id;
  const shown = data?.items.find((one) => one.id === chosen);
  return (
    <>
      <ScreenHead title="Code">
        {isDev.value && (
          <Button icon="again" onClick={() => void call("POST /api/dev/reload", { body: {} }).catch(toastFailure)}>
            Load it anew
          </Button>
        )}
      </ScreenHead>
      {isDev.value && <LastReload />}
      {isDev.value && <Verdicts />}
      {!isDev.value && isDev.value !== null && (
        <p class="dim">This is no dev server: code is loaded by its workers, and is not watched.</p>
      )}
      <h2>Deployments</h2>
      {failure && <FailureNote failure={failure} again={() => deployments.reload()} />}
      {!data && !failure && <Loading what="deployments" />}
      {data && data.items.length === 0 && (
        <Empty title="No code was loaded yet">
          <p class="dim">Each load is kept, by its contents: the first one that works appears here.</p>
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <div class="two-columns">
          <nav class="side-list" aria-label="deployments">
            <ul>
              {data.items.map((one) => (
                <li key={one.id}>
                  <A
                    href={placeOf("code", { deployment: one.id })}
                    class="side-item"
                    aria-current={one.id === chosen ? "page" : undefined}
                  >
                    <code class="cut">{one.id.slice(0, 16)}</code>
                    {dev.value?.current?.deployment_id === one.id && <Chip tone="good">serves</Chip>}
                    {dev.value?.pegged.some((served) => served.deployment_id === one.id) && (
                      <Chip tone="warn">pegged</Chip>
                    )}
                    {(counts.get(one.id) ?? 0) > 0 && (
                      <span class="num" title="runs in flight">
                        {showCount(counts.get(one.id)!)}
                        {hasMore ? "+" : ""}
                      </span>
                    )}
                    <span class="dim">
                      <Ago at={one.used_at ?? one.created_at} />
                    </span>
                  </A>
                </li>
              ))}
            </ul>
          </nav>
          {shown ? (
            <Deployment
              key={shown.id}
              deployment={shown}
              before={data.items[data.items.indexOf(shown) + 1] ?? null}
              all={data.items}
              inFlight={counts.get(shown.id) ?? 0}
            />
          ) : (
            <Empty title="There is no such deployment" />
          )}
        </div>
      )}
    </>
  );
}

function LastReload() {
  const status = dev.value;
  if (!status) return <Loading what="the dev server" rows={2} />;
  const reload = status.last_reload;
  return (
    <p class="run-facts">
      {status.current ? (
        <>
          <Chip tone="good">serves</Chip>
          <code>{status.current.deployment_id.slice(0, 16)}</code>
          <span class="num">{sayMany(status.current.workflows.length, "workflow")}</span>
        </>
      ) : (
        <Chip tone="bad">nothing is loaded</Chip>
      )}
      {status.is_paused && <Chip tone="warn">reloading is paused</Chip>}
      {reload && (
        <span class="dim num">
          last reload: {reload.files.join(", ") || "at start"}, {Math.round(reload.load_ms)} ms, {reload.clean} clean,{" "}
          {reload.diverging.length} diverge
        </span>
      )}
    </p>
  );
}

const REMEDIES = [
  ["keep", "Keep", "it goes on with the code that started it"],
  [
    "fork",
    "Fork",
    "a new run shares its history up to where the two part, and goes on with today’s code; this one ends",
  ],
  ["restart", "Restart", "a new run with the same arguments, from the beginning; this one ends"],
  ["cancel", "Cancel", "it is cancelled; its clean-up runs, with its own code"],
] as const;
type Action = (typeof REMEDIES)[number][0];

function Verdicts() {
  const [asked, setAsked] = useState<{ verdict: Verdict; action: Action } | null>(null);
  const misfits = diverging.value;
  const [kept, setKept] = useState<ReadonlySet<string>>(new Set());
  if (misfits.length === 0) {
    return (
      <p class="verdict-clean">
        <Icon name="check" size={14} /> Every run in flight fits the code as it is.
      </p>
    );
  }
  return (
    <section class="verdicts" aria-label="verdicts">
      <h2>
        {showCount(misfits.length)} {misfits.length === 1 ? "run diverges" : "runs diverge"}
      </h2>
      <p class="dim">They go on with the code that started them, until you choose otherwise.</p>
      <div class="scroll-x" tabIndex={0} role="group" aria-label="runs that diverge">
        <table class="plain-table verdict-table">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">Event</th>
              <th scope="col">Recorded, and what the code does now</th>
              <th scope="col">Remedy</th>
            </tr>
          </thead>
          <tbody>
            {misfits.map((verdict) => (
              <tr key={verdict.run_id} class={kept.has(verdict.run_id) ? "is-kept" : ""}>
                <td>
                  <A href={runPlace(verdict.run_id)} class="mono">
                    {verdict.run_id}
                  </A>
                  <br />
                  <span class="dim">{verdict.workflow}</span>
                </td>
                <td class="num">{verdict.trouble?.seq ?? ""}</td>
                <td>
                  {verdict.trouble?.recorded && <p class="mono diff-before">{verdict.trouble.recorded}</p>}
                  {verdict.trouble?.actual && <p class="mono diff-after">{verdict.trouble.actual}</p>}
                  {!verdict.trouble?.recorded && <p>{wordsOf(verdict.trouble)}</p>}
                  {verdict.trouble?.where && (
                    <p class="mono dim">
                      at <Placed text={verdict.trouble.where} />
                    </p>
                  )}
                </td>
                <td>
                  <div class="remedies">
                    {REMEDIES.map(([action, label, explains]) => (
                      <Button
                        key={action}
                        title={explains}
                        aria-pressed={action === "keep" ? kept.has(verdict.run_id) : undefined}
                        onClick={() => {
                          if (action === "keep") {
                            setKept(new Set(kept).add(verdict.run_id));
                            void carryOut(verdict.run_id, action);
                          } else setAsked({ verdict, action });
                        }}
                      >
                        {label}
                      </Button>
                    ))}
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {asked && <RemedyDialog {...asked} onClose={() => setAsked(null)} />}
    </section>
  );
}

function RemedyDialog({ verdict, action, onClose }: { verdict: Verdict; action: Action; onClose: () => void }) {
  const [, label, explains] = REMEDIES.find(([one]) => one === action)!;
  const seq = Math.max(1, (verdict.trouble?.seq ?? 2) - 1);
  const command =
    action === "cancel"
      ? commandOf("cancel", verdict.run_id)
      : action === "fork"
        ? commandOf("fork", verdict.run_id, "--from", String(seq))
        : commandOf("fork", verdict.run_id, "--from", "1");
  return (
    <Dialog label={`${label} the run`} onClose={onClose}>
      <h2>
        {label} <code>{verdict.run_id}</code>?
      </h2>
      <p>{explains}.</p>
      <Command text={command} />
      <div class="dialog-actions">
        <Button onClick={onClose}>Don’t</Button>
        <Button
          kind={action === "cancel" ? "danger" : "main"}
          onClick={() => {
            onClose();
            void carryOut(verdict.run_id, action);
          }}
        >
          {`${label} it`}
        </Button>
      </div>
    </Dialog>
  );
}

async function carryOut(id: string, action: Action): Promise<void> {
  try {
    const { result } = await call("POST /api/runs/{id}/remedy", { path: { id }, body: { action } });
    const next = result.new_run_id;
    const text =
      action === "keep"
        ? "it is kept on its own code"
        : action === "cancel"
          ? "it was asked to stop"
          : `it goes on as ${next}`;
    toast("good", text, typeof next === "string" ? { link: { href: runPlace(next), label: "Show it" } } : {});
  } catch (error) {
    toastFailure(error);
  }
  void readDev();
}

function Deployment({
  deployment,
  before,
  all,
  inFlight,
}: {
  deployment: DeploymentView;
  before: DeploymentView | null;
  all: readonly DeploymentView[];
  inFlight: number;
}) {
  const other = place.value?.params.get("against") ?? before?.id ?? null;
  const against = all.find((one) => one.id === other) ?? null;
  const file = place.value?.params.get("file");
  const [replayThem, isReplaying] = useAlone(() => replayAll(deployment.id));
  const names = [...new Set([...Object.keys(deployment.files), ...Object.keys(against?.files ?? {})])].sort();
  const states = new Map(names.map((name) => [name, stateOf(name, deployment, against)]));
  const shown = file && names.includes(file) ? file : (names.find((name) => states.get(name) !== "same") ?? names[0]);
  return (
    <div class="detail">
      <h2 class="mono">{deployment.id}</h2>
      <p class="run-facts">
        <span>first loaded {showInstant(deployment.created_at)}</span>
        {deployment.used_at === null && <Chip tone="warn">came with an imported run</Chip>}
        <span class="num">{sayMany(deployment.workflows.length, "workflow")}</span>
        <span class="num">{showCount(inFlight)} in flight</span>
        <Button icon="check" disabled={isReplaying} onClick={() => replayThem()}>
          {isReplaying ? "They are replayed …" : "Replay runs in flight against it"}
        </Button>
      </p>
      <label class="inline-field">
        compared with{" "}
        <select value={other ?? ""} onChange={(event) => setParams({ against: event.currentTarget.value || null })}>
          <option value="">nothing</option>
          {all
            .filter((one) => one.id !== deployment.id)
            .map((one) => (
              <option key={one.id} value={one.id}>
                {one.id.slice(0, 16)}, {showInstant(one.created_at)}
              </option>
            ))}
        </select>
      </label>
      <div class="files" role="group" aria-label="files">
        {names.map((name) => (
          <button
            type="button"
            class={`chip-button file-${states.get(name)}`}
            key={name}
            aria-pressed={name === shown}
            onClick={() => setParams({ file: name })}
          >
            {name}
            {states.get(name) !== "same" && <span class="dim"> {states.get(name)}</span>}
          </button>
        ))}
      </div>
      {shown && (
        <Source
          key={`${deployment.id} ${against?.id} ${shown}`}
          name={shown}
          digest={deployment.files[shown] ?? null}
          before={against?.files[shown] ?? null}
          isCompared={against !== null}
        />
      )}
    </div>
  );
}

function stateOf(
  name: string,
  now: DeploymentView,
  before: DeploymentView | null,
): "same" | "changed" | "added" | "removed" {
  if (!before) return "same";
  const [one, other] = [now.files[name], before.files[name]];
  if (one === undefined) return "removed";
  if (other === undefined) return "added";
  return one === other ? "same" : "changed";
}

async function replayAll(deployment: string): Promise<void> {
  try {
    const found = await call("POST /api/replay", { body: { runs: "open", deployment } });
    const bad = found.items.filter((one: ReplayView) => one.outcome === "diverges" || one.outcome === "cannot_load");
    const text = `${found.clean} clean, ${found.extends} go further, ${found.diverges} diverge, ${found.cannot_load} cannot be replayed`;
    const first = bad[0];
    toast(
      bad.length ? "warn" : "good",
      text,
      first ? { link: { href: runPlace(first.run_id), label: first.run_id } } : {},
    );
  } catch (error) {
    toastFailure(error);
  }
}

const CONTEXT = 3;
const SIGNS = { added: "+ ", removed: "- ", gap: "⋯ ", same: "  " } as const;

/** A line of a difference, with the colours that it has in its file. */
function tokensOf(line: DiffLine, then: readonly Token[][], now: readonly Token[][]): readonly Token[] {
  const tokens = line.now !== null ? now[line.now - 1] : line.before !== null ? then[line.before - 1] : undefined;
  return tokens ?? [{ text: line.text, kind: "" }];
}

function Source({
  name,
  digest,
  before,
  isCompared,
}: {
  name: string;
  digest: string | null;
  before: string | null;
  isCompared: boolean;
}) {
  const isDiff = isCompared && digest !== before;
  const texts = useResource(`${digest} ${isDiff ? before : ""}`, async () => ({
    now: digest ? await readText("/api/sources/{digest}", { digest }) : "",
    before: isDiff && before ? await readText("/api/sources/{digest}", { digest: before }) : "",
  }));
  const { data, failure } = texts.state.value;
  const lines = useMemo(() => (data && isDiff ? diffLines(data.before, data.now, CONTEXT) : null), [data, isDiff]);
  const now = useMemo(() => tokenize(data?.now ?? ""), [data]);
  const then = useMemo(() => tokenize(data?.before ?? ""), [data]);
  if (failure) return <FailureNote failure={failure} again={() => texts.reload()} />;
  if (!data) return <Loading what={name} />;
  return (
    <pre class="source code-view" tabIndex={0} role="group" aria-label={isDiff ? `what changed in ${name}` : name}>
      {lines
        ? lines.map((line, index) => (
            <span key={index} class={`source-line line-${line.kind}`}>
              <span class="num dim">{line.before ?? ""}</span>
              <span class="num dim">{line.now ?? ""}</span>
              <span>{SIGNS[line.kind]}</span>
              <Tokens tokens={tokensOf(line, then, now)} />
              {"\n"}
            </span>
          ))
        : now.map((tokens, index) => (
            <span key={index} class="source-line">
              <span class="num dim">{index + 1}</span>
              <Tokens tokens={tokens} />
              {"\n"}
            </span>
          ))}
    </pre>
  );
}

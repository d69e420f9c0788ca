// A run's head: its status and why, where it comes from, what belongs to it, and what can be done to it.

import { useEffect, useState } from "preact/hooks";
import { call, urlOf } from "../../api";
import type { RunView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { localize, showDuration, showInstant } from "../../model/instants";
import type { Binding } from "../../model/keys";
import { placeOf, runPlace } from "../../model/places";
import { printable } from "../../model/printable";
import { isEnded, placesOfAttention, wordsOfAttention } from "../../model/statuses";
import { useAlone } from "../../state/alone";
import { now } from "../../state/clock";
import { isDev } from "../../state/dev";
import { useKeys } from "../../state/keyboard";
import { marked, toggleMark } from "../../state/marked";
import { go } from "../../state/router";
import { toast, toastFailure } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { ErrorBlock, Payload } from "../parts/Payload";
import { Placed } from "../parts/Placed";
import { A, Ago, Button, Chip, Command, Copy, copyText, RunDuration, RunStatus } from "../parts/small";
import { type RunData, WHOLE_BYTES } from "./data";
import { Family } from "./Family";
import { ForkDialog } from "./ForkDialog";
import { TestDialog } from "./TestDialog";

export function RunHeader({ run, data }: { run: RunView; data: RunData }) {
  const [asked, setAsked] = useState<"cancel" | "fork" | "test" | null>(null);
  const [isOpen, setOpen] = useState(run.status === "failed");
  useEffect(() => {
    if (run.status === "failed") setOpen(true);
  }, [run.status]);
  const isOver = isEnded(run.status);
  const act = async (what: string, action: () => Promise<unknown>) => {
    try {
      await action();
      toast("good", what);
      data.run.reload();
    } catch (error) {
      toastFailure(error);
    }
  };
  const path = { id: run.id };
  const canRetry = isOver && !run.origin && run.status !== "completed";
  const [retryIt, isRetrying] = useAlone(() => retry(run.id));
  const wake = () => void act("its sleeps were ended", () => call("POST /api/runs/{id}/wake", { path, body: {} }));
  useKeys(
    [
      ...(isOver ? [] : [inPalette("cancel this run …", () => setAsked("cancel")), inPalette("wake this run", wake)]),
      ...(canRetry ? [inPalette("retry this run", () => retryIt())] : []),
      inPalette("fork this run …", () => setAsked("fork")),
      inPalette("this run as a test …", () => setAsked("test")),
      inPalette("copy this run’s id", () => void copyText(run.id)),
    ],
    [run.id, isOver, canRetry],
  );
  return (
    <header class="run-head">
      <div class="run-title">
        <RunStatus run={run} />
        <h1>
          <span class="run-workflow">{run.workflow}</span> <code>{run.id}</code>
        </h1>
        <Copy text={run.id} what="copy the run’s id" />
        <div class="screen-actions">
          {!isOver && (
            <>
              {isHookAwaited(run) && (
                <A class="button button-main" href={placeOf("hooks", { run: run.id })}>
                  <Icon name="hooks" size={14} /> Resume …
                </A>
              )}
              {run.reason && (
                <Button icon="wake" title="end its sleeps early" onClick={wake}>
                  Wake
                </Button>
              )}
              <Button icon="stop" kind="danger" onClick={() => setAsked("cancel")}>
                Cancel …
              </Button>
            </>
          )}
          {canRetry && (
            <Button
              icon="again"
              title="go on in a new run with today’s code; completed steps keep their results"
              disabled={isRetrying}
              onClick={() => retryIt()}
            >
              Retry
            </Button>
          )}
          <Button icon="fork" onClick={() => setAsked("fork")}>
            Fork …
          </Button>
          <Button icon="check" title="a test that replays this run, as pytest" onClick={() => setAsked("test")}>
            Test …
          </Button>
          <Button
            icon="compare"
            aria-pressed={marked.value.includes(run.id)}
            title="mark for comparing (x)"
            onClick={() => toggleMark(run.id)}
          >
            {marked.value.includes(run.id) ? "Marked" : "Mark"}
          </Button>
        </div>
      </div>
      <p class="run-facts">
        {run.reason && !isOver && !run.attention && (
          <span class="run-reason">{printable(localize(run.reason, now.value))}</span>
        )}
        {run.started_at && (
          <span title={`started ${showInstant(run.started_at)}`}>
            took <RunDuration run={run} />
          </span>
        )}
        {run.queued_ms > 1 && <span class="dim num">queued {showDuration(run.queued_ms)}</span>}
        <span>
          created <Ago at={run.created_at} />
        </span>
        <span class="num">
          {run.events} {run.events === 1 ? "event" : "events"}
        </span>
        {run.deployment_id && (
          <A
            href={placeOf("code", { deployment: run.deployment_id })}
            class="chip"
            title="the code that it is pegged to"
          >
            <Icon name="code" size={12} /> {run.deployment_id.slice(0, 14)}
          </A>
        )}
        {Object.entries(run.attributes).map(([key, value]) => (
          <Chip key={key}>{printable(`${key}=${value}`)}</Chip>
        ))}
        {run.origin && <Chip tone="warn">imported: {run.origin}</Chip>}
      </p>
      <Kin run={run} />
      <Family run={run} />
      {run.attention && (
        <div class="note note-warn" role="alert">
          <p class="note-title">
            <Icon name="bang" size={14} />
            <strong>It rests: {wordsOfAttention(run.attention.code)}</strong>
            <code class="slug">{run.attention.code}</code>
          </p>
          <p class="error-message">{printable(run.attention.message)}</p>
          {placesOfAttention(run.attention).map((place) => (
            <p class="mono" key={place}>
              at <Placed text={place} />
            </p>
          ))}
          <p>
            <A href={placeOf("code", {})}>What can be done about it</A>
          </p>
        </div>
      )}
      <details
        class="run-payloads"
        open={isOpen}
        onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}
      >
        <summary>
          Input{isOver ? (run.error ? " and error" : " and output") : ""}
          {run.error && <span class="tone-bad"> · {run.error.type ?? run.error.code}</span>}
        </summary>
        <div class="run-io">
          <section aria-label="input">
            <h3>Input</h3>
            <Payload value={run.input} label="input" isLocked={run.is_locked} whole={wholeOf(run.id)} />
          </section>
          {run.status === "completed" && (
            <section aria-label="output">
              <h3>Output</h3>
              <Payload value={run.output} label="output" isLocked={run.is_locked} whole={wholeOf(run.id)} />
            </section>
          )}
          {run.error && (
            <section aria-label="error">
              <h3>Error</h3>
              <ErrorBlock error={run.error} />
              {canRetry && isDev.value && (
                <p class="dim">
                  Mend the code, save it, and <em>Retry</em>: steps that completed keep their results, what failed runs
                  again.
                </p>
              )}
            </section>
          )}
        </div>
        <p class="run-commands">
          <Command text={commandOf("inspect", "run", run.id)} />
          <Command text={commandOf("replay", run.id)} />
          <Command text={commandOf("test", "gen", run.id)} />
          <Command text={commandOf("export", run.id)} />
        </p>
      </details>
      {asked === "cancel" && <CancelDialog run={run} onClose={() => setAsked(null)} act={act} />}
      {asked === "test" && <TestDialog runId={run.id} onClose={() => setAsked(null)} />}
      {asked === "fork" && <ForkDialog run={run} onClose={() => setAsked(null)} />}
    </header>
  );
}

/** Its reason says so first: `waiting for hook site:ada`, or of one that is to stop `cancelling: waiting …`. */
function isHookAwaited(run: RunView): boolean {
  return /^(cancelling: )?waiting for hook /.test(run.reason ?? "");
}

function inPalette(label: string, run: () => void): Binding {
  return { keys: "", label, group: "run", run };
}

function wholeOf(id: string): string {
  return urlOf("/api/runs/{id}", { id }, { max_bytes: WHOLE_BYTES });
}

/** Runs that this one comes from or went on as. */
function Kin({ run }: { run: RunView }) {
  const kin: [string, string | null][] = [
    ["started by", run.parent_run_id],
    ["continued from", run.continued_from],
    ["continued as", run.continued_as],
    ["forked from", run.forked_from],
  ];
  const there = kin.filter((one): one is [string, string] => one[1] !== null);
  if (there.length === 0) return null;
  return (
    <p class="run-kin">
      {there.map(([how, id]) => (
        <span key={how}>
          <span class="dim">{how}</span>{" "}
          <A href={runPlace(id)} class="mono">
            {id}
          </A>
          {how === "forked from" && run.fork && <span class="dim num"> at event {run.fork.seq}</span>}
          {how === "forked from" &&
            run.fork?.edits.map((edit) => (
              <Chip key={`${edit.what} ${edit.correlation_id}`}>
                other {edit.what}
                {edit.name ? ` of ${edit.name}` : ""}
              </Chip>
            ))}
        </span>
      ))}
    </p>
  );
}

function CancelDialog({
  run,
  onClose,
  act,
}: {
  run: RunView;
  onClose: () => void;
  act: (what: string, action: () => Promise<unknown>) => Promise<void>;
}) {
  const [reason, setReason] = useState("");
  const [isForced, setForced] = useState(false);
  const words = [...(reason ? ["--reason", reason] : []), ...(isForced ? ["--force"] : [])];
  return (
    <Dialog label="cancel the run" onClose={onClose}>
      <h2>Cancel this run?</h2>
      <p>
        <code>CancelledError</code> is raised in its body, whose clean-up runs.
      </p>
      <label class="field">
        reason (optional)
        <input type="text" maxLength={512} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      <label class="field-check">
        <input type="checkbox" checked={isForced} onChange={(event) => setForced(event.currentTarget.checked)} />
        end it at once, without any clean-up
      </label>
      <Command text={commandOf("cancel", run.id, ...words)} />
      <div class="dialog-actions">
        <Button onClick={onClose}>Don’t</Button>
        <Button
          kind="danger"
          onClick={() => {
            onClose();
            const body = { force: isForced, ...(reason ? { reason } : {}) };
            void act("it was asked to stop", () => call("POST /api/runs/{id}/cancel", { path: { id: run.id }, body }));
          }}
        >
          Cancel the run
        </Button>
      </div>
    </Dialog>
  );
}

async function retry(id: string): Promise<void> {
  try {
    const run = await call("POST /api/runs/{id}/retry", { path: { id }, body: {} });
    toast("good", `it is tried again as ${run.id}`);
    go(runPlace(run.id));
  } catch (error) {
    toastFailure(error);
  }
}

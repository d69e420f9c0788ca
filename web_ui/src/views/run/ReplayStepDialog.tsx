// Replay step: carry it out once more with its recorded input, edited or not, and compare. Nothing is recorded;
// what the step does to the world outside is done.

import { useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { StepReplayView, StepView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showDuration } from "../../model/instants";
import { showInline } from "../../model/payloads";
import { Dialog } from "../parts/Dialog";
import { ErrorBlock, Payload } from "../parts/Payload";
import { Button, Chip, Command, FailureNote } from "../parts/small";

export function ReplayStepDialog({ step, onClose }: { step: StepView; onClose: () => void }) {
  const recorded = JSON.stringify(step.input ?? {}, null, 2);
  const [text, setText] = useState(recorded);
  const [deployment, setDeployment] = useState("today");
  const [isBusy, setBusy] = useState(false);
  const [found, setFound] = useState<StepReplayView | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  const carryOut = async () => {
    setFailure(null);
    let input: Record<string, unknown> | null = null;
    if (text !== recorded) {
      try {
        input = JSON.parse(text) as Record<string, unknown>;
      } catch (error) {
        setFailure(new Failure("usage", `that is not JSON: ${(error as Error).message}`, null, null, 0));
        return;
      }
    }
    setBusy(true);
    setFound(null);
    try {
      const path = { id: step.run_id, step: step.correlation_id };
      const body = { deployment, ...(input === null ? {} : { input }) };
      setFound(await call("POST /api/runs/{id}/steps/{step}/replay", { path, body }));
    } catch (error) {
      setFailure(Failure.from(error));
    }
    setBusy(false);
  };
  const edited = text === recorded ? [] : ["--input", text.replace(/\s*\n\s*/g, " ")];
  return (
    <Dialog label="replay the step" onClose={onClose} isWide>
      <h2>Replay {step.name}</h2>
      <p>
        It is <strong>really carried out</strong>: what it does to files, networks and databases happens. Nothing of it
        is recorded in the run.
      </p>
      <label class="field">
        input, as recorded; change it to try another
        <textarea
          class="mono"
          rows={Math.min(14, text.split("\n").length + 1)}
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <div class="segmented" role="group" aria-label="with which code">
        {[
          ["today", "today’s code"],
          ["own", "the run’s own code"],
        ].map(([one, label]) => (
          <button type="button" key={one} aria-pressed={deployment === one} onClick={() => setDeployment(one!)}>
            {label}
          </button>
        ))}
      </div>
      {failure && <FailureNote failure={failure} />}
      {found && <Outcome found={found} />}
      <Command text={commandOf("replay", step.run_id, "--step", String(step.correlation_id), ...edited)} />
      <div class="dialog-actions">
        <Button onClick={onClose}>Close</Button>
        <Button kind="main" icon="again" disabled={isBusy} onClick={() => void carryOut()}>
          {isBusy ? "It runs …" : "Replay step"}
        </Button>
      </div>
    </Dialog>
  );
}

const SAID: Record<StepReplayView["outcome"], [string, string]> = {
  same: ["the same as recorded", "good"],
  differs: ["it differs from what was recorded", "warn"],
  timed_out: ["it took too long, and was ended", "bad"],
  unrecorded: ["there is no recorded end to compare with", "idle"],
};

function Outcome({ found }: { found: StepReplayView }) {
  const [said, tone] = SAID[found.outcome];
  return (
    <section aria-label="what came of it" class="outcome">
      <p>
        <Chip tone={tone}>{said}</Chip> <span class="num dim">{showDuration(found.duration_ms)}</span>
      </p>
      {found.changes.length > 0 && (
        <table class="plain-table change-table">
          <thead>
            <tr>
              <th scope="col">Where</th>
              <th scope="col">Recorded</th>
              <th scope="col">Now</th>
            </tr>
          </thead>
          <tbody>
            {found.changes.map((change) => (
              <tr key={change.path}>
                <td class="mono">{change.path}</td>
                <td class="mono diff-before">{change.kind === "added" ? "" : showInline(change.before)}</td>
                <td class="mono diff-after">{change.kind === "removed" ? "" : showInline(change.after)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found.more_changes > 0 && <p class="dim">… and {found.more_changes} more</p>}
      {found.actual.kind === "returned" && <Payload value={found.actual.value} label="what it returned" />}
      {found.actual.error && <ErrorBlock error={found.actual.error} />}
      {found.effects.length > 0 && (
        <ul class="effects">
          {found.effects.map((effect, index) => (
            <li key={index}>{effect.text}</li>
          ))}
        </ul>
      )}
      {found.logs.length > 0 && (
        <pre class="raw" tabIndex={0}>
          {found.logs.map((line) => `${line.text}\n`)}
        </pre>
      )}
    </section>
  );
}

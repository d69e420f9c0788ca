// Fork: a new run that shares this one's log up to a point, and goes on with today's code; with another
// result, another error or other arguments, if that is what is to be tried.

import { useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { ForkBody, RunView, StepView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { runPlace } from "../../model/places";
import { go } from "../../state/router";
import { toast } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Button, Command, FailureNote } from "../parts/small";

type Edit = "none" | "output" | "error" | "input";

export function ForkDialog({ run, step, onClose }: { run: RunView; step?: StepView; onClose: () => void }) {
  const [edit, setEdit] = useState<Edit>("none");
  const [from, setFrom] = useState("");
  const [text, setText] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const call_ = step ? String(step.correlation_id) : null;

  const choose = (next: Edit) => {
    setEdit(next);
    setFailure(null);
    if (next === "input") setText(JSON.stringify(run.input ?? {}, null, 2));
    else if (next === "output") setText(JSON.stringify(step?.output ?? null, null, 2));
    else if (next === "error") setText("ValueError: made up to see what happens");
  };
  const read = (): ForkBody => {
    if (edit === "none") {
      if (call_) return { from: call_ };
      const seq = from.trim();
      return seq === "" ? {} : { from: /^\d+$/.test(seq) ? Number(seq) : seq };
    }
    if (edit === "error") return { raise: { [call_!]: text.trim() } };
    const value = JSON.parse(text) as unknown;
    if (edit === "output") return { set: { [call_!]: value } };
    return { input: value as Record<string, unknown> };
  };
  const command = (): string => {
    if (edit === "error") return commandOf("fork", run.id, "--raise", `${call_}=${text.trim()}`);
    if (edit === "none")
      return commandOf("fork", run.id, ...(call_ || from.trim() ? ["--from", call_ ?? from.trim()] : []));
    const line = text.replace(/\s*\n\s*/g, " ");
    return edit === "output"
      ? commandOf("fork", run.id, "--set", `${call_}=${line}`)
      : commandOf("fork", run.id, "--input", line);
  };
  const carryOut = async () => {
    setBusy(true);
    setFailure(null);
    try {
      const forked = await call("POST /api/runs/{id}/fork", { path: { id: run.id }, body: read() });
      toast("good", `forked as ${forked.run.id}`, { more: forked.notes.join("; ") });
      onClose();
      go(runPlace(forked.run.id));
    } catch (error) {
      const problem =
        error instanceof SyntaxError
          ? new Failure("usage", `that is not JSON: ${error.message}`, null, null, 0)
          : Failure.from(error);
      setFailure(problem);
      setBusy(false);
    }
  };
  const edits: [Edit, string][] = step
    ? [
        ["none", "run it again"],
        ["output", "another output"],
        ["error", "an error"],
      ]
    : [
        ["none", "from a point"],
        ["input", "other arguments"],
      ];
  return (
    <Dialog label="fork the run" onClose={onClose} isWide>
      <h2>{step ? `Fork at ${step.name}` : "Fork this run"}</h2>
      <p>
        A new run shares the log up to there, and goes on with today’s code. This run stays as it is; the fork’s hooks
        have tokens of their own.
      </p>
      <div class="segmented" role="group" aria-label="what is to be other">
        {edits.map(([one, label]) => (
          <button type="button" key={one} aria-pressed={edit === one} onClick={() => choose(one)}>
            {label}
          </button>
        ))}
      </div>
      {edit === "none" && !step && (
        <label class="field">
          from (an event’s number, or a step{run.error ? "; empty: from what failed" : ""})
          <input type="text" class="mono" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
      )}
      {edit !== "none" && (
        <label class="field">
          {edit === "error" ? "Type: message" : "JSON"}
          <textarea
            class="mono"
            rows={edit === "error" ? 2 : 8}
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      )}
      {failure && <FailureNote failure={failure} />}
      <Command text={command()} />
      <div class="dialog-actions">
        <Button onClick={onClose}>Don’t</Button>
        <Button kind="main" icon="fork" disabled={isBusy} onClick={() => void carryOut()}>
          Fork
        </Button>
      </div>
    </Dialog>
  );
}

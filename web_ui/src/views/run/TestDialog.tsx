// As pytest: what `wf test gen` would write for this run, to be copied. The server replays it first; nothing is written.

import { useEffect, useState } from "preact/hooks";
import { call } from "../../api";
import type { StepView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showBytes } from "../../model/instants";
import { printable } from "../../model/printable";
import { useResource } from "../../state/resource";
import { Dialog } from "../parts/Dialog";
import { Button, Command, Copy, FailureNote, Loading, Prose } from "../parts/small";

export function TestDialog({ runId, step, onClose }: { runId: string; step?: StepView; onClose: () => void }) {
  const [isRedacted, setRedacted] = useState(false);
  const steps = step ? [String(step.correlation_id)] : [];
  const loader = useResource(`${runId} ${steps.join()} ${isRedacted}`, (signal) =>
    call("GET /api/runs/{id}/test", {
      path: { id: runId },
      query: { step: steps, redact: isRedacted },
      signal,
    }),
  );
  const { data, failure, isLoading } = loader.state.value;
  const options = [...steps.flatMap((one) => ["--step", one]), ...(isRedacted ? ["--redact"] : [])];
  return (
    <Dialog label="the run as a test" onClose={onClose} isWide>
      <h2>{step ? `${step.name} as a test` : "The run as a test"}</h2>
      <p>
        It replays the recorded history against the code: it fails once the code would do something else. No step is
        carried out{step ? " but the one that has a test of its own" : ""}.
      </p>
      <label class="field-check">
        <input type="checkbox" checked={isRedacted} onChange={(event) => setRedacted(event.currentTarget.checked)} />
        replace every text that the run was given
      </label>
      {failure && <FailureNote failure={failure} again={() => loader.reload()} />}
      {isLoading && !data && <Loading what="the test" rows={8} />}
      {data && (
        <>
          <p class="test-file">
            <code>{data.test.path}</code>
            <Copy text={data.test.text} label="copy the test" what="copy the test" />
          </p>
          <pre class="raw frame test-text" tabIndex={0}>
            {printable(data.test.text)}
          </pre>
          <p class="test-file">
            <code>{data.history.path}</code>
            <span class="dim num">{showBytes(data.history.text.length)}</span>
            <SaveHistory name={data.history.path} text={data.history.text} />
          </p>
          {data.notes.map((one) => (
            <p class="dim" key={one}>
              <Prose text={one} />
            </p>
          ))}
        </>
      )}
      <Command text={commandOf("test", "gen", runId, ...options)} />
      <div class="dialog-actions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function SaveHistory({ name, text }: { name: string; text: string }) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [text]);
  return url === null ? null : (
    <a class="button button-quiet" href={url} download={name.split("/").at(-1)}>
      download its history
    </a>
  );
}

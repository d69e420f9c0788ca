// What can be done to the runs that are selected, all at once, after it was shown to how many.

import { useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { RunView } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showCount } from "../../model/instants";
import { placeOf } from "../../model/places";
import { isEnded } from "../../model/statuses";
import { go } from "../../state/router";
import { toast } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Button, Command } from "../parts/small";

type Action = "cancel" | "wake" | "retry";

const WORDS: Record<Action, { title: string; done: string; explains: string; fits: (run: RunView) => boolean }> = {
  cancel: {
    title: "Cancel",
    done: "asked to stop",
    explains: "CancelledError is raised in their bodies, whose clean-up runs.",
    fits: (run) => !isEnded(run.status),
  },
  wake: {
    title: "Wake",
    done: "woken",
    explains: "Their pending sleeps end now.",
    fits: (run) => !isEnded(run.status),
  },
  retry: {
    title: "Retry",
    done: "tried again",
    explains:
      "Each goes on in a new run with today’s code: completed steps keep their results, what failed runs again.",
    fits: (run) => run.status === "failed" || run.status === "cancelled",
  },
};

const SIDE_BY_SIDE = 4;
const COMMAND_MOST = 20;

export function BulkBar({
  runs,
  filterText,
  onDone,
  shown,
  hasMore,
  looked,
}: {
  runs: readonly RunView[];
  filterText: string;
  onDone: () => void;
  shown: number;
  hasMore: boolean;
  looked: number | null;
}) {
  const [asked, setAsked] = useState<Action | null>(null);
  if (runs.length === 0) {
    return (
      <p class="list-count dim num">
        {showCount(shown)} {shown === 1 ? "run" : "runs"}
        {hasMore ? ", more below" : ""}
        {looked !== null && looked > shown ? `, of ${showCount(looked)} looked through` : ""}
        {filterText ? "" : ", newest first"}
      </p>
    );
  }
  return (
    <div class="bulk" role="toolbar" aria-label="selected runs">
      <strong class="num">{showCount(runs.length)} selected</strong>
      {(Object.keys(WORDS) as Action[]).map((action) => (
        <Button key={action} disabled={!runs.some(WORDS[action].fits)} onClick={() => setAsked(action)}>
          {WORDS[action].title} …
        </Button>
      ))}
      <Button
        icon="compare"
        disabled={runs.length !== 2}
        onClick={() => go(placeOf("compare", { one: runs[1]!.id, other: runs[0]!.id }))}
      >
        Compare
      </Button>
      <Button kind="quiet" onClick={onDone}>
        Let go
      </Button>
      {asked && (
        <Confirm
          action={asked}
          runs={runs.filter(WORDS[asked].fits)}
          leftOut={runs.length - runs.filter(WORDS[asked].fits).length}
          onClose={(isDone) => {
            setAsked(null);
            if (isDone) onDone();
          }}
        />
      )}
    </div>
  );
}

function Confirm({
  action,
  runs,
  leftOut,
  onClose,
}: {
  action: Action;
  runs: readonly RunView[];
  leftOut: number;
  onClose: (isDone: boolean) => void;
}) {
  const [reason, setReason] = useState("");
  const [done, setDone] = useState<number | null>(null);
  const words = WORDS[action];
  const ids = runs.slice(0, COMMAND_MOST).map((run) => run.id);
  const options = action === "cancel" && reason ? ["--reason", reason] : [];
  const command = `${commandOf(action, ...ids, ...options)}${runs.length > COMMAND_MOST ? " …" : ""}`;

  const carryOut = async () => {
    setDone(0);
    const failures: Failure[] = [];
    const left = [...runs];
    const work = async () => {
      for (let run = left.pop(); run; run = left.pop()) {
        await act(action, run.id, reason).catch((error: unknown) => failures.push(Failure.from(error)));
        setDone((count) => (count ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
    const good = runs.length - failures.length;
    if (good) toast("good", `${showCount(good)} ${good === 1 ? "run was" : "runs were"} ${words.done}`);
    if (failures.length) toast("bad", `${failures.length} could not be: ${failures[0]!.message}`);
    onClose(true);
  };

  return (
    <Dialog label={`${words.title} runs`} onClose={() => done === null && onClose(false)}>
      <h2>
        {words.title} {showCount(runs.length)} {runs.length === 1 ? "run" : "runs"}?
      </h2>
      <p>{words.explains}</p>
      {leftOut > 0 && (
        <p class="dim">
          {leftOut} of those that are selected {leftOut === 1 ? "is" : "are"} left out: it makes no sense for{" "}
          {leftOut === 1 ? "it" : "them"}.
        </p>
      )}
      {action === "cancel" && (
        <label class="field">
          reason (optional)
          <input type="text" maxLength={512} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
      )}
      <Command text={command} />
      <div class="dialog-actions">
        <Button onClick={() => onClose(false)} disabled={done !== null}>
          Don’t
        </Button>
        <Button kind={action === "cancel" ? "danger" : "main"} onClick={() => void carryOut()} disabled={done !== null}>
          {done === null ? `${words.title} ${showCount(runs.length)}` : `${done} of ${runs.length}`}
        </Button>
      </div>
    </Dialog>
  );
}

async function act(action: Action, id: string, reason: string): Promise<void> {
  const path = { id };
  if (action === "cancel") await call("POST /api/runs/{id}/cancel", { path, body: reason ? { reason } : {} });
  else if (action === "wake") await call("POST /api/runs/{id}/wake", { path, body: {} });
  else await call("POST /api/runs/{id}/retry", { path, body: {} });
}

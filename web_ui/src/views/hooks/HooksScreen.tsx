// Hooks: what waits for somebody, and a form made from its schema to answer it.

import { useEffect, useMemo, useState } from "preact/hooks";
import { call, Failure, urlOf } from "../../api";
import type { HookView } from "../../api_types";
import { curlCommand, resumeCommand } from "../../model/commands";
import { placeOf, runPlace } from "../../model/places";
import { printable } from "../../model/printable";
import { blank, type Draft, describe, fill, type Json, type Problem, read } from "../../model/schema_forms";
import { recall, remember } from "../../state/kept";
import { useKeys } from "../../state/keyboard";
import { hear } from "../../state/live";
import { usePulse } from "../../state/pulse";
import { useResource } from "../../state/resource";
import { place, setParams } from "../../state/router";
import { toast } from "../../state/toasts";
import { Payload } from "../parts/Payload";
import { SchemaForm } from "../parts/SchemaForm";
import { A, Ago, Button, Chip, Command, Copy, Empty, FailureNote, Loading, ScreenHead } from "../parts/small";

const GATHER_MS = 200;
const LOOK_MS = 1500;

export function HooksScreen() {
  const loader = useResource("hooks", () => call("GET /api/hooks"));
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        loader.reload();
      }, GATHER_MS);
    };
    const ears = [hear("run", soon), hear("runs", soon), hear("anew", soon)];
    return () => {
      clearTimeout(timer);
      for (const stop of ears) stop();
    };
  }, [loader]);
  usePulse(LOOK_MS, () => loader.reload());
  const { data, failure } = loader.state.value;
  const [text, setText] = useState("");
  const asked = place.value?.params.get("token") ?? null;
  const ofRun = place.value?.params.get("run") ?? null;
  const word = text.trim().toLowerCase();
  const items = (data?.items ?? []).filter((one) =>
    `${one.token} ${one.name} ${one.run_id}`.toLowerCase().includes(word),
  );
  const shown =
    asked !== null
      ? data?.items.find((one) => one.token === asked)
      : ofRun !== null
        ? data?.items.find((one) => one.run_id === ofRun)
        : items[0];
  const index = items.findIndex((one) => one.token === shown?.token);
  const move = (step: number) => {
    const next = items[Math.max(0, Math.min(items.length - 1, index + step))];
    if (next?.token) setParams({ token: next.token, run: null });
  };
  useKeys(
    [
      { keys: "/", label: "find a hook", group: "hooks", run: () => document.getElementById("find")?.focus() },
      { keys: "j", label: "next hook", group: "hooks", run: () => move(1) },
      { keys: "k", label: "hook before", group: "hooks", run: () => move(-1) },
    ],
    [items, index],
  );
  return (
    <>
      <ScreenHead title="Hooks" />
      {failure && <FailureNote failure={failure} again={() => loader.reload()} />}
      {!data && !failure && <Loading what="hooks" />}
      {data && data.items.length === 0 && (
        <Empty title="Nothing waits for you">
          <p class="dim">
            A run that awaits <code>Model.wait()</code> or <code>wf.hook()</code> is listed here until somebody resumes
            it.
          </p>
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <div class="two-columns">
          <nav class="side-list" aria-label="hooks">
            <input
              id="find"
              type="search"
              aria-label="find a hook"
              placeholder="Find a hook"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
            <ul>
              {items.map((one) => (
                <li key={`${one.run_id} ${one.correlation_id}`}>
                  <A
                    href={placeOf("hooks", { token: one.token })}
                    class="side-item"
                    aria-current={one === shown ? "page" : undefined}
                  >
                    <span class="cut">{one.token === null ? "locked" : printable(one.token)}</span>
                    <span class="dim">
                      <Ago at={one.created_at} />
                    </span>
                  </A>
                </li>
              ))}
            </ul>
            {items.length === 0 && <p class="dim">None is like that.</p>}
          </nav>
          {shown ? (
            <Hook key={`${shown.run_id} ${shown.correlation_id}`} hook={shown} onResumed={() => loader.reload()} />
          ) : (
            (asked !== null || ofRun !== null) && (
              <Empty title="This hook is gone">
                <p class="dim">
                  {asked !== null ? "Nothing waits for " : "No hook waits in "}
                  <code>{printable(asked ?? ofRun ?? "")}</code> any more: it was resumed, or its run has ended.
                </p>
              </Empty>
            )
          )}
        </div>
      )}
    </>
  );
}

const KEPT_PAYLOADS = 8;

function Hook({ hook, onResumed }: { hook: HookView; onResumed: () => void }) {
  const field = useMemo(() => describe(hook.schema), [hook.schema]);
  const memory = `payloads.${hook.name ?? "any"}`;
  const [library, setLibrary] = useState(() => recall<Json[]>(memory, []));
  const [draft, setDraft] = useState<Draft>(() => blank(field));
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const reading = read(field, draft);
  const token = hook.token;
  if (token === null) return <p class="dim">This hook is locked: its key is not here.</p>;

  const resume = async () => {
    setProblems(reading.problems);
    if (isBusy || reading.value === undefined) return;
    setBusy(true);
    setFailure(null);
    try {
      await call("POST /api/hooks/{token}/resume", { path: { token }, body: { payload: reading.value } });
      const text = JSON.stringify(reading.value);
      const kept = [reading.value, ...library.filter((one) => JSON.stringify(one) !== text)].slice(0, KEPT_PAYLOADS);
      remember(memory, kept);
      setLibrary(kept);
      toast("good", `${token} was resumed`, { link: { href: runPlace(hook.run_id), label: "Show the run" } });
      onResumed();
    } catch (error) {
      setFailure(Failure.from(error));
    }
    setBusy(false);
  };
  const path = urlOf("/api/hooks/{token}/resume", { token });
  return (
    <div class="detail">
      <h2 class="mono">
        {printable(token)} <Copy text={token} what="copy the token" />
      </h2>
      <p class="run-facts">
        <Chip>{hook.kind}</Chip>
        {hook.name && hook.name !== hook.kind && <span>{hook.name}</span>}
        <span>
          registered <Ago at={hook.created_at} />
        </span>
        <A href={runPlace(hook.run_id, { span: String(hook.correlation_id) })} class="mono">
          {hook.run_id}
        </A>
      </p>
      {hook.metadata !== null && (
        <section aria-label="metadata">
          <h3>Metadata</h3>
          <Payload value={hook.metadata} label="metadata" />
        </section>
      )}
      {hook.path ? (
        <section aria-label="webhook">
          <h3>It is a webhook</h3>
          <p>Any request to its address resumes the run.</p>
          <Command text={`curl -X POST ${location.origin}${hook.path} --json '{}'`} />
        </section>
      ) : (
        <form
          class="start-form"
          aria-label={`resume ${token}`}
          onSubmit={(event) => {
            event.preventDefault();
            void resume();
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              if (!event.repeat) void resume();
            }
          }}
        >
          <div class="form-title">
            <h3>Resume it</h3>
            {library.length > 0 && (
              <select
                aria-label="payloads that were sent before"
                value=""
                onChange={(event) => {
                  const chosen = library[Number(event.currentTarget.value)];
                  if (event.currentTarget.value !== "" && chosen !== undefined) setDraft(fill(field, chosen));
                  event.currentTarget.value = "";
                }}
              >
                <option value="">Earlier payloads</option>
                {library.map((one, index) => (
                  <option key={index} value={String(index)}>
                    {JSON.stringify(one).slice(0, 80)}
                  </option>
                ))}
              </select>
            )}
          </div>
          <SchemaForm field={field} draft={draft} onChange={setDraft} problems={problems} />
          {failure && <FailureNote failure={failure} />}
          <Command text={resumeCommand(token, reading.value ?? null)} />
          <Command text={curlCommand(location.origin, path, { payload: reading.value ?? null })} />
          <div class="form-actions">
            <Button kind="main" icon="play" type="submit" disabled={isBusy}>
              Resume
            </Button>
            <Chip>Ctrl Enter</Chip>
          </div>
        </form>
      )}
    </div>
  );
}

// Query: SQL over all history. The URL holds the query; nothing runs before somebody says so, or opens a saved one.

import { useEffect, useRef, useState } from "preact/hooks";
import { call, callForBytes, Failure } from "../../api";
import type { QueryResult, SavedQuery, SchemaDoc } from "../../api_types";
import { commandOf } from "../../model/commands";
import { showCount, showDuration } from "../../model/instants";
import { writeCsv, writeJson } from "../../model/results";
import { useAlone } from "../../state/alone";
import { keptSignal } from "../../state/kept";
import { useKeys } from "../../state/keyboard";
import { useResource } from "../../state/resource";
import { place, setParams } from "../../state/router";
import { toast, toastFailure } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { lazyView } from "../parts/lazy";
import { Button, Command, Copy, Empty, FailureNote, Loading, Prose, ScreenHead } from "../parts/small";
import { type Editor, openEditor } from "./editor";
import { Grid } from "./Grid";

const Chart = lazyView("the chart", () => import("./Chart").then((module) => module.Chart));

const FIRST =
  "-- Runs by workflow and status\nSELECT workflow, status, count(*) AS runs\nFROM runs\nGROUP BY ALL\nORDER BY runs DESC";
const KEPT = 50;
const asked = keptSignal<readonly string[]>("queries", []);

interface Answer {
  result: QueryResult | null;
  failure: Failure | null;
  tookMs: number;
}

export function QueryScreen() {
  const params = place.value?.params ?? new URLSearchParams();
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const text = useRef(params.get("sql") ?? asked.value[0] ?? FIRST);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [running, setRunning] = useState<{ id: string; abort: AbortController } | null>(null);
  const [look, setLook] = useState<"grid" | "chart">("grid");
  const [isSaving, setSaving] = useState(false);
  const [side, setSide] = useState<"saved" | "schema" | "history">("saved");
  const schema = useResource("schema", () => call("GET /api/query/schema"));
  const queries = useResource("queries", () => call("GET /api/queries"));
  const latest = useRef({ run: () => {} });

  const run = async () => {
    const sql = (editor.current?.read() ?? text.current).trim();
    if (!sql) return;
    running?.abort.abort();
    const abort = new AbortController();
    // `crypto.randomUUID` is there on this machine and over TLS only; a proxy in one's own network may have neither.
    const id = `studio-${Math.random().toString(36).slice(2)}`;
    setRunning({ id, abort });
    setParams({ sql, saved: null });
    asked.value = [sql, ...asked.value.filter((one) => one !== sql)].slice(0, KEPT);
    const began = performance.now();
    try {
      const result = await call("POST /api/query", { body: { sql, id }, signal: abort.signal });
      const error = result.error;
      const failure = error ? new Failure(error.slug, error.message, error.where, error.hint, 0) : null;
      setAnswer({ result, failure, tookMs: performance.now() - began });
    } catch (error) {
      if (!abort.signal.aborted)
        setAnswer({ result: null, failure: Failure.from(error), tookMs: performance.now() - began });
    }
    setRunning((now) => (now?.id === id ? null : now));
  };
  latest.current = { run: () => void run() };

  const cancel = () => {
    if (!running) return;
    void call("POST /api/query/{id}/cancel", { path: { id: running.id }, body: {} }).catch(() => undefined);
  };
  const put = (sql: string) => {
    editor.current?.write(sql);
    text.current = sql;
    editor.current?.focus();
  };

  useEffect(() => {
    const opened = openEditor(host.current!, {
      text: text.current,
      onChange: (now) => {
        text.current = now;
      },
      onRun: () => latest.current.run(),
    });
    editor.current = opened;
    return () => opened.close();
  }, []);
  const known = schema.state.value.data;
  useEffect(() => {
    if (known) editor.current?.setSchema(known);
  }, [known]);
  const savedName = params.get("saved");
  const saved = queries.state.value.data?.items.find((one) => one.name === savedName);
  useEffect(() => {
    if (!saved) return;
    put(saved.sql);
    latest.current.run();
  }, [saved]);

  useKeys(
    [
      { keys: "/", label: "go to the editor", group: "query", run: () => editor.current?.focus() },
      { keys: "Mod-Enter", label: "run the query", group: "query", run: () => latest.current.run() },
      {
        keys: "v",
        label: "grid or chart",
        group: "query",
        run: () => setLook((now) => (now === "grid" ? "chart" : "grid")),
      },
    ],
    [],
  );
  return (
    <>
      <ScreenHead title="Query">
        {running ? (
          <Button icon="stop" kind="danger" onClick={cancel}>
            Cancel
          </Button>
        ) : (
          <Button icon="play" kind="main" onClick={() => void run()} title="Ctrl Enter">
            Run
          </Button>
        )}
        <Button icon="save" onClick={() => setSaving(true)}>
          Save …
        </Button>
      </ScreenHead>
      <div class="query">
        <div class="query-main">
          <div class="editor" ref={host} />
          <Result answer={answer} isRunning={running !== null} look={look} onLook={setLook} sql={text.current} />
        </div>
        <aside class="query-side" aria-label="saved queries, tables and history">
          <div class="segmented" role="group" aria-label="what is listed">
            {(["saved", "schema", "history"] as const).map((one) => (
              <button type="button" key={one} aria-pressed={side === one} onClick={() => setSide(one)}>
                {one === "schema" ? "tables" : one}
              </button>
            ))}
          </div>
          {side === "saved" && (
            <Saved resource={queries.state.value} onPick={(one) => setParams({ saved: one.name }, { pushes: true })} />
          )}
          {side === "schema" &&
            (known ? (
              <Schema schema={known} />
            ) : schema.state.value.failure ? (
              <FailureNote failure={schema.state.value.failure} again={() => schema.reload()} />
            ) : (
              <Loading what="tables" />
            ))}
          {side === "history" && <History onPick={put} />}
        </aside>
      </div>
      {isSaving && (
        <SaveDialog
          sql={editor.current?.read() ?? text.current}
          known={queries.state.value.data?.items ?? []}
          onClose={(isSaved) => {
            setSaving(false);
            if (isSaved) queries.reload();
          }}
        />
      )}
    </>
  );
}

function Result({
  answer,
  isRunning,
  look,
  onLook,
  sql,
}: {
  answer: Answer | null;
  isRunning: boolean;
  look: "grid" | "chart";
  onLook: (look: "grid" | "chart") => void;
  sql: string;
}) {
  const [writeIt, isWriting] = useAlone(offerParquet);
  if (!answer) {
    if (isRunning) return <Loading what="the answer" />;
    return (
      <Empty title="Ask all history">
        <p class="dim">Ctrl Enter runs the query. It reads only; what it may take and how long is limited.</p>
        <Command
          text={commandOf(
            "query",
            sql
              .replace(/^--.*\n/gm, "")
              .replace(/\s+/g, " ")
              .trim(),
          )}
        />
      </Empty>
    );
  }
  const { result, failure } = answer;
  const name = "query";
  return (
    <div class={isRunning ? "query-result is-loading" : "query-result"} aria-busy={isRunning}>
      {failure && <FailureNote failure={failure} />}
      {result && result.columns.length > 0 && (
        <>
          <div class="tab-bar">
            <div class="segmented" role="group" aria-label="show the result as">
              {(["grid", "chart"] as const).map((one) => (
                <button type="button" key={one} aria-pressed={look === one} onClick={() => onLook(one)}>
                  {one}
                </button>
              ))}
            </div>
            <span class="num dim" role="status">
              {showCount(result.row_count ?? result.rows.length)} {result.rows.length === 1 ? "row" : "rows"}
              {result.is_capped ? ", and more: the answer was cut there" : ""} in{" "}
              {showDuration(result.elapsed_ms ?? answer.tookMs)}
            </span>
            <span class="spacer" />
            <Button
              kind="quiet"
              onClick={() => offer(`${name}.csv`, "text/csv", writeCsv(result.columns, result.rows))}
            >
              CSV
            </Button>
            <Button
              kind="quiet"
              onClick={() => offer(`${name}.json`, "application/json", writeJson(result.columns, result.rows))}
            >
              JSON
            </Button>
            <Button kind="quiet" disabled={isWriting} onClick={() => writeIt(sql.trim(), `${name}.parquet`)}>
              Parquet
            </Button>
            <Copy
              text={commandOf("query", sql.trim(), "--format", "parquet", "-o", `${name}.parquet`)}
              what="copy the command that writes Parquet"
            />
          </div>
          {look === "grid" ? (
            <Grid columns={result.columns} rows={result.rows} />
          ) : (
            <Chart columns={result.columns} rows={result.rows} />
          )}
        </>
      )}
    </div>
  );
}

const PARQUET = "application/vnd.apache.parquet";

/** Ask once more, for a file. It ends with a mark: without it the query failed under way. */
async function offerParquet(sql: string, name: string): Promise<void> {
  try {
    const bytes = await callForBytes("POST /api/query", PARQUET, { sql });
    if (new TextDecoder().decode(bytes.subarray(-4)) !== "PAR1")
      throw new Failure("query", "the query failed while the file was written", null, "run it: its error is shown", 0);
    offer(name, PARQUET, bytes);
  } catch (error) {
    toastFailure(error);
  }
}

function offer(name: string, type: string, text: string | Uint8Array<ArrayBuffer>): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Saved({
  resource,
  onPick,
}: {
  resource: { data: { items: SavedQuery[] } | null; failure: Failure | null };
  onPick: (query: SavedQuery) => void;
}) {
  if (resource.failure) return <FailureNote failure={resource.failure} />;
  if (!resource.data) return <Loading what="saved queries" />;
  const mine = resource.data.items.filter((one) => one.origin === "project");
  const theirs = resource.data.items.filter((one) => one.origin !== "project");
  return (
    <div class="query-list">
      <h3>The project’s</h3>
      {mine.length === 0 && <p class="dim">none yet: Save puts one into queries/</p>}
      <QueryList items={mine} onPick={onPick} />
      <h3>From wf</h3>
      <QueryList items={theirs} onPick={onPick} />
    </div>
  );
}

function QueryList({ items, onPick }: { items: readonly SavedQuery[]; onPick: (query: SavedQuery) => void }) {
  return (
    <ul>
      {items.map((one) => (
        <li key={one.name}>
          <button type="button" class="query-item" onClick={() => onPick(one)}>
            <strong>{one.name}</strong>
            <span class="dim">
              <Prose text={one.doc} />
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Schema({ schema }: { schema: SchemaDoc }) {
  return (
    <div class="query-list">
      {schema.tables.map((table) => (
        <details key={table.name}>
          <summary>
            <strong class="mono">{table.name}</strong> <span class="dim">{table.doc}</span>
          </summary>
          <dl>
            {table.columns.map((column) => (
              <div key={column.name}>
                <dt class="mono">
                  {column.name} <span class="dim">{column.type}</span>
                </dt>
                <dd class="dim">{column.doc}</dd>
              </div>
            ))}
          </dl>
        </details>
      ))}
      <h3>Functions</h3>
      <dl>
        {schema.functions.map((one) => (
          <div key={one.name}>
            <dt class="mono">{one.signature}</dt>
            <dd class="dim">{one.doc}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function History({ onPick }: { onPick: (sql: string) => void }) {
  if (asked.value.length === 0) return <p class="dim">Nothing was asked from this browser yet.</p>;
  return (
    <div class="query-list">
      <ul>
        {asked.value.map((sql) => (
          <li key={sql}>
            <button type="button" class="query-item mono" onClick={() => onPick(sql)}>
              {sql.length > 200 ? `${sql.slice(0, 200)}…` : sql}
            </button>
          </li>
        ))}
      </ul>
      <Button
        kind="quiet"
        onClick={() => {
          asked.value = [];
        }}
      >
        Forget all
      </Button>
    </div>
  );
}

function SaveDialog({
  sql,
  known,
  onClose,
}: {
  sql: string;
  known: readonly SavedQuery[];
  onClose: (isSaved: boolean) => void;
}) {
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<Failure | null>(null);
  const isThere = known.some((one) => one.name === name.trim() && one.origin === "project");
  const save = async () => {
    try {
      const kept = await call("POST /api/queries", { body: { name: name.trim(), sql, replace: isThere } });
      toast("good", `kept as queries/${kept.name}.sql`);
      onClose(true);
    } catch (error) {
      const problem = Failure.from(error);
      if (problem.status === 401) toastFailure(problem);
      setFailure(problem);
    }
  };
  return (
    <Dialog label="save the query" onClose={() => onClose(false)}>
      <h2>Save the query</h2>
      <p>It is kept with the project, as a file that goes into version control.</p>
      <label class="field">
        name (lower-case letters, digits, - and _)
        <input type="text" class="mono" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      {isThere && (
        <p class="tone-warn">
          <Icon name="bang" size={12} /> There is one of this name; it is replaced.
        </p>
      )}
      {failure && <FailureNote failure={failure} />}
      <div class="dialog-actions">
        <Button onClick={() => onClose(false)}>Don’t</Button>
        <Button kind="main" icon="save" disabled={!name.trim()} onClick={() => void save()}>
          {isThere ? "Replace it" : "Save"}
        </Button>
      </div>
    </Dialog>
  );
}

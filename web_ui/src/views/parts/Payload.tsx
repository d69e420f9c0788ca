// A payload, as tree, raw text or table. It is text everywhere: nothing of it becomes markup, style or a link.

import { useMemo, useState } from "preact/hooks";
import { kindOf, listRows, type PayloadRow, showInline, tableColumns } from "../../model/payloads";
import { printable } from "../../model/printable";
import { Icon } from "./Icon";
import { Traceback } from "./Placed";
import { Copy } from "./small";

const RAW_MOST = 200_000;
const TABLE_MOST = 200;

/** `whole` is where the server gives all of a payload that was too large to be sent along. */
export function Payload({
  value,
  label,
  isLocked = false,
  whole,
}: {
  value: unknown;
  label: string;
  isLocked?: boolean;
  whole?: string;
}) {
  const columns = useMemo(() => tableColumns(value), [value]);
  const [look, setLook] = useState<"tree" | "raw" | "table">("tree");
  if (isLocked) return <p class="dim payload-locked">locked: its key is not here, or was not asked for</p>;
  const looks = columns ? (["tree", "raw", "table"] as const) : (["tree", "raw"] as const);
  const shown = look === "table" && !columns ? "tree" : look;
  return (
    <div class="payload">
      <div class="payload-bar">
        <div class="segmented" role="group" aria-label={`show ${label} as`}>
          {looks.map((one) => (
            <button type="button" key={one} aria-pressed={shown === one} onClick={() => setLook(one)}>
              {one}
            </button>
          ))}
        </div>
        <Copy text={() => JSON.stringify(value, null, 2) ?? "null"} what={`copy ${label} as JSON`} />
        {whole !== undefined && kindOf(value) === "large" && (
          <a class="button button-quiet" href={whole} download={`${label.replace(/\W+/g, "-")}.json`}>
            Download it whole
          </a>
        )}
      </div>
      {shown === "tree" && <Tree value={value} label={label} />}
      {shown === "raw" && <Raw value={value} />}
      {shown === "table" && columns && <Table rows={value as Record<string, unknown>[]} columns={columns} />}
    </div>
  );
}

function Tree({ value, label }: { value: unknown; label: string }) {
  const [toggled, setToggled] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [more, setMore] = useState<ReadonlyMap<string, number>>(new Map());
  const rows = listRows(
    value,
    (path, depth) => toggled.get(path) ?? depth < 2,
    (path) => more.get(path) ?? 100,
  );
  return (
    <div class="tree mono" role="group" aria-label={label}>
      {rows.map((row) => (
        <Row
          key={row.path}
          row={row}
          onToggle={() => setToggled(new Map(toggled).set(row.path, !row.isOpen))}
          onMore={() => setMore(new Map(more).set(String(row.value), (more.get(String(row.value)) ?? 100) + 500))}
        />
      ))}
    </div>
  );
}

function Row({ row, onToggle, onMore }: { row: PayloadRow; onToggle: () => void; onMore: () => void }) {
  const style = { paddingLeft: `${row.depth * 14}px` };
  if (row.kind === "more") {
    return (
      <div class="tree-row" style={style}>
        <button type="button" class="tree-toggle" onClick={onMore}>
          show more ({row.text})
        </button>
      </div>
    );
  }
  const name = row.label !== null && <span class="tree-name">{row.label}</span>;
  if (row.isOpen === null) {
    return (
      <div class="tree-row" style={style}>
        <span class="tree-gap" />
        {name}
        <span class={`value-${row.kind}`}>{row.text}</span>
      </div>
    );
  }
  return (
    <div class="tree-row" style={style}>
      <button type="button" class="tree-toggle" aria-expanded={row.isOpen} onClick={onToggle}>
        <Icon name={row.isOpen ? "down" : "right"} size={12} />
        {name}
        <span class="dim">{row.text}</span>
      </button>
    </div>
  );
}

function Raw({ value }: { value: unknown }) {
  const text = printable(typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "null"));
  const isCut = text.length > RAW_MOST;
  return (
    <pre class="raw" tabIndex={0}>
      {isCut ? `${text.slice(0, RAW_MOST)}\n… ${text.length - RAW_MOST} more characters` : text}
    </pre>
  );
}

function Table({ rows, columns }: { rows: Record<string, unknown>[]; columns: string[] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="payload as a table">
      <table class="plain-table">
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, TABLE_MOST).map((row, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td class="mono" key={column}>
                  {showInline(row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > TABLE_MOST && (
        <p class="dim">… and {rows.length - TABLE_MOST} more rows; copy it as JSON to have all</p>
      )}
    </div>
  );
}

/** An error as it was recorded: what it is, what it says, and where, the user's frames first. */
export function ErrorBlock({
  error,
}: {
  error: {
    type: string | null;
    message: string | null;
    code?: string | null;
    traceback: string | null;
    cause?: unknown;
  };
}) {
  const cause = error.cause as typeof error | null | undefined;
  return (
    <div class="error-block">
      <p>
        <strong class="mono">{error.type ?? "error"}</strong>
        {error.code && <code class="slug">{error.code}</code>}
      </p>
      {error.message && <p class="error-message">{printable(error.message)}</p>}
      {error.traceback && <Traceback text={printable(error.traceback)} />}
      {cause && (
        <details>
          <summary class="dim">caused by {cause.type ?? "an error"}</summary>
          <ErrorBlock error={cause} />
        </details>
      )}
    </div>
  );
}

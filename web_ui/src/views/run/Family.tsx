// A run's family in its header: the tree of parents, children, forks and continuations, read by SQL.

import { useEffect, useRef } from "preact/hooks";
import { call } from "../../api";
import type { RunView } from "../../api_types";
import { FAMILY_SQL, type FamilyRow, layOutFamily, readMembers, sayFamily } from "../../model/family";
import { showDuration } from "../../model/instants";
import { placeOf, runPlace } from "../../model/places";
import { keptSignal } from "../../state/kept";
import { hear } from "../../state/live";
import { useResource } from "../../state/resource";
import { A, Status } from "../parts/small";

const isOpen = keptSignal("family", false);
const AGAIN_MS = 1500;

export function Family({ run }: { run: RunView }) {
  const loader = useResource(run.id, async (signal) => {
    const body = { sql: FAMILY_SQL, parameters: { id: run.id }, locked: true };
    const result = await call("POST /api/query", { body, signal });
    return result.error ? readMembers([]) : readMembers(result.rows);
  });
  const family = loader.state.value.data;
  const known = useRef<ReadonlySet<string>>(new Set());
  known.current = new Set([run.id, ...(family?.members ?? []).map((one) => one.id)]);
  // Not anew when it was read: what was heard meanwhile is still to be read.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        loader.reload();
      }, AGAIN_MS);
    };
    const stops = [
      hear("run", ({ id, parent_run_id, continued_from, forked_from }) => {
        if ([id, parent_run_id, continued_from, forked_from].some((one) => one !== null && known.current.has(one)))
          again();
      }),
      hear("runs", again),
      hear("anew", again),
    ];
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [loader]);
  if (!family || family.members.length < 2) return null;
  const rows = layOutFamily(family.members);
  return (
    <details
      class="family"
      open={isOpen.value}
      onToggle={(event) => {
        isOpen.value = (event.currentTarget as HTMLDetailsElement).open;
      }}
    >
      <summary>
        Family <span class="dim num">{sayFamily(family.members, family.total)}</span>
      </summary>
      <ul aria-label="family of runs">
        {rows.map((row) => (
          <One key={row.id} row={row} isThis={row.id === run.id} />
        ))}
      </ul>
      {family.total > family.members.length && (
        <p>
          <A href={placeOf("query", { sql: FAMILY_SQL.replace("$id", `'${run.id.replace(/'/g, "''")}'`) })}>
            All of them, by SQL
          </A>
        </p>
      )}
    </details>
  );
}

const BONDS = { child: "started", continued: "continued as", fork: "forked as" } as const;

function One({ row, isThis }: { row: FamilyRow; isThis: boolean }) {
  return (
    <li style={{ paddingLeft: `${row.depth * 18}px` }} class={isThis ? "is-this" : ""}>
      {row.bond && row.depth > 0 && <span class="dim">{BONDS[row.bond]}</span>}
      <Status status={row.status} />
      {isThis ? (
        <span class="mono" aria-current="true">
          {row.id}
        </span>
      ) : (
        <A href={runPlace(row.id)} class="mono">
          {row.id}
        </A>
      )}
      <span class="dim">{row.workflow}</span>
      <span class="dim num">{showDuration(row.durationMs)}</span>
      {isThis && <span class="dim">this run</span>}
    </li>
  );
}

// How many runs there were when: from the list where it is whole, else from SQL over all history.

import { call } from "../../api";
import type { RunView } from "../../api_types";
import { type RunFilter, readMoment } from "../../model/filters";
import { type Bin, binRuns, countInto } from "../../model/histogram";

const BARS = 90;

export interface Counts {
  bins: Bin[];
  /** False: older runs than those that are loaded are not counted. */
  isWhole: boolean;
}

export function countLoaded(runs: readonly RunView[], isWhole: boolean): Counts {
  return { bins: binRuns(runs, BARS), isWhole };
}

/** Count all runs that a filter fits. Words are looked for in what is loaded only: then null. */
export async function countAll(filter: RunFilter, signal: AbortSignal): Promise<Counts | null> {
  if (filter.words.length > 0) return null;
  const { where, parameters } = conditionsOf(filter);
  const sql = `
    WITH chosen AS (SELECT epoch_ms(created_at) AS moment, status FROM runs${where}),
    width AS (SELECT min(moment) AS low, greatest(1, (max(moment) - min(moment)) / ${BARS * 4}) AS ms FROM chosen)
    SELECT low + floor((moment - low) / ms) * ms AS moment, status, count(*) AS n FROM chosen, width GROUP BY ALL`;
  const result = await call("POST /api/query", { body: { sql, parameters, locked: true }, signal });
  if (result.error) return null;
  const items = result.rows.map(([at, status, n]) => ({ atMs: Number(at), status: String(status), count: Number(n) }));
  return { bins: countInto(items, BARS), isWhole: true };
}

function conditionsOf(filter: RunFilter): { where: string; parameters: Record<string, string | number> } {
  const conditions: string[] = [];
  const parameters: Record<string, string | number> = {};
  const bind = (value: string | number): string => {
    const name = `p${Object.keys(parameters).length}`;
    parameters[name] = value;
    return `$${name}`;
  };
  if (filter.statuses.length) conditions.push(`status IN (${filter.statuses.map(bind).join(", ")})`);
  if (filter.workflow) {
    const asked = bind(filter.workflow);
    conditions.push(`(workflow = ${asked} OR ends_with(workflow, ':' || ${asked}))`);
  }
  for (const [key, value] of filter.attributes) conditions.push(`attributes[${bind(key)}] = ${bind(value)}`);
  const after = filter.after === null ? null : readMoment(filter.after);
  const before = filter.before === null ? null : readMoment(filter.before);
  if (after !== null) conditions.push(`epoch_ms(created_at) >= ${bind(after)}`);
  if (before !== null) conditions.push(`epoch_ms(created_at) < ${bind(before)}`);
  return { where: conditions.length ? ` WHERE ${conditions.join(" AND ")}` : "", parameters };
}

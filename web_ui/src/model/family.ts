// A run's family: all runs that are joined to it by having started, continued or forked one another, as a tree.

export type Bond = "child" | "continued" | "fork";

export interface Member {
  id: string;
  workflow: string;
  status: string;
  durationMs: number | null;
  /** The run that it comes from, if that is there; null: the tree begins here. */
  above: string | null;
  bond: Bond | null;
}

export interface FamilyRow extends Member {
  depth: number;
}

/** More would be a wall: a run with thousands of children shows the first of them. */
export const MOST = 400;

/** Give the whole family of `$id`, the line up to its first run before all others. */
export const FAMILY_SQL = `WITH RECURSIVE links AS (
  SELECT run_id, workflow, status, duration_ms, created_at,
    coalesce(continued_from, forked_from, parent_run_id) AS above,
    CASE WHEN continued_from IS NOT NULL THEN 'continued' WHEN forked_from IS NOT NULL THEN 'fork'
      WHEN parent_run_id IS NOT NULL THEN 'child' END AS bond
  FROM runs),
up AS (
  SELECT run_id, above, 0 AS height FROM links WHERE run_id = $id
  UNION ALL SELECT links.run_id, links.above, height + 1 FROM up JOIN links ON links.run_id = up.above WHERE height < 50),
down AS (
  SELECT links.*, 0 AS depth FROM links WHERE run_id = (SELECT arg_max(run_id, height) FROM up)
  UNION ALL SELECT links.*, depth + 1 FROM down JOIN links ON links.above = down.run_id WHERE depth < 50)
SELECT run_id, workflow, status, duration_ms, above, bond, count(*) OVER () AS total
FROM down ORDER BY run_id IN (SELECT run_id FROM up) DESC, depth, created_at LIMIT ${MOST}`;

export function readMembers(rows: readonly unknown[][]): { members: Member[]; total: number } {
  const members = rows.map(([id, workflow, status, duration, above, bond]) => ({
    id: String(id),
    workflow: String(workflow),
    status: String(status),
    durationMs: duration === null ? null : Number(duration),
    above: above === null ? null : String(above),
    bond: bond as Bond | null,
  }));
  return { members, total: Number(rows[0]?.[6] ?? 0) };
}

/** Lay a family out in rows: each run below the one that it comes from, in the order in which they were given. */
export function layOutFamily(members: readonly Member[]): FamilyRow[] {
  const known = new Set(members.map((one) => one.id));
  const below = new Map<string | null, Member[]>();
  for (const one of members) {
    const above = one.above !== null && known.has(one.above) && one.above !== one.id ? one.above : null;
    below.set(above, [...(below.get(above) ?? []), one]);
  }
  const rows: FamilyRow[] = [];
  const put = (above: string | null, depth: number): void => {
    for (const one of below.get(above) ?? []) {
      rows.push({ ...one, depth });
      put(one.id, depth + 1);
    }
  };
  put(null, 0);
  return rows;
}

/** Say how many of which kind: `3 children, 1 fork`. */
export function sayFamily(members: readonly Member[], total: number): string {
  const counts: Record<Bond, number> = { child: 0, continued: 0, fork: 0 };
  for (const one of members) if (one.bond) counts[one.bond]++;
  const words = [
    counts.child && `${counts.child} ${counts.child === 1 ? "child" : "children"}`,
    counts.fork && `${counts.fork} ${counts.fork === 1 ? "fork or retry" : "forks and retries"}`,
    counts.continued && `${counts.continued} ${counts.continued === 1 ? "continuation" : "continuations"}`,
    total > members.length && `${total - members.length} more`,
  ];
  return words.filter(Boolean).join(", ");
}

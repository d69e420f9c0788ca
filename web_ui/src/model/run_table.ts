// The table of runs, as data: what the server gave, kept up to date by what the feed says.
//
// 1. Newest first, by the server's own order: ids within a page never move; what is new goes in front.
// 2. While the table is `held` (a pointer is over it, or somebody scrolled), new runs wait aside: rows
//    never move under a hand. What changes in a row that is shown, changes in place.
// 3. A run that no longer fits the filter stays where it is, marked, until the list is read anew or let go.
// 4. Answers and news come in any order: of two views of a run the one with fewer events is older, and is not taken.

import type { RunView } from "../api_types";

export interface RunTable {
  runs: readonly RunView[];
  /** New runs that wait aside, newest first. */
  aside: readonly RunView[];
  /** Ids of shown runs that do not fit the filter any more. */
  misfits: ReadonlySet<string>;
  cursor: string | null;
}

export const EMPTY: RunTable = { runs: [], aside: [], misfits: new Set(), cursor: null };

export function newerOf(known: RunView | undefined, now: RunView): RunView {
  if (!known) return now;
  const isAnother = known.created_at !== now.created_at; // of a run that was forgotten, and whose id was given again
  return (isAnother ? known.created_at > now.created_at : known.events > now.events) ? known : now;
}

export function begin(runs: readonly RunView[], cursor: string | null): RunTable {
  return { runs, aside: [], misfits: new Set(), cursor };
}

/** Add the next page. A run that is there already (it changed meanwhile) is not shown twice. */
export function append(table: RunTable, runs: readonly RunView[], cursor: string | null): RunTable {
  const newest = runs[0]?.created_at ?? "";
  const known = new Set<string>();
  // Of a hundred thousand rows only the last can be in the page: it is older than all others.
  for (let at = table.runs.length - 1; at >= 0 && table.runs[at]!.created_at <= newest; at--)
    known.add(table.runs[at]!.id);
  return { ...table, runs: table.runs.concat(runs.filter((run) => !known.has(run.id))), cursor };
}

/** Take runs that changed. `fits` says whether a run belongs in the list. */
export function take(
  table: RunTable,
  changed: readonly RunView[],
  options: { isHeld: boolean; fits: (run: RunView) => boolean },
): RunTable {
  const news = new Map(changed.map((run) => [run.id, run]));
  const misfits = new Set(table.misfits);
  const update = (run: RunView): RunView => {
    const told = news.get(run.id);
    if (!told) return run;
    const now = newerOf(run, told);
    news.delete(run.id);
    if (options.fits(now)) misfits.delete(run.id);
    else misfits.add(run.id);
    return now;
  };
  let runs: readonly RunView[] = table.runs.map(update);
  let aside: readonly RunView[] = table.aside.map(update).filter(options.fits);
  const oldest = table.runs.at(-1)?.created_at ?? "";
  const fresh = [...news.values()]
    .filter((run) => options.fits(run) && (table.cursor === null || run.created_at >= oldest))
    .sort(byNewest);
  if (options.isHeld) {
    aside = [...fresh, ...aside].sort(byNewest);
  } else if (fresh.length || misfits.size) {
    runs = [...runs.filter((run) => !misfits.has(run.id)), ...fresh].sort(byNewest);
    misfits.clear();
  }
  return { ...table, runs, aside, misfits };
}

/** Let go: show what waited aside, and drop what does not fit any more. */
export function settle(table: RunTable): RunTable {
  if (table.aside.length === 0 && table.misfits.size === 0) return table;
  const kept = table.runs.filter((run) => !table.misfits.has(run.id));
  return { ...table, runs: [...kept, ...table.aside].sort(byNewest), aside: [], misfits: new Set() };
}

function byNewest(one: RunView, other: RunView): number {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1;
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0;
}

// What really happened, as a graph: calls, and what each of them came after.
//
// 1. A call comes after what was delivered right before it was made, and after everything else that had ended by then
//    and that nothing had come after yet. So a fan-out spreads, and a join gathers. The log says when, not why: of
//    two branches that a body raced, both count.
// 2. Calls of one name that come after the same are one node with a count; so are calls of one name in a row.
// 3. The same trace gives the same graph.

import type { Span } from "../api_types";

export interface GraphNode {
  id: string;
  kind: string;
  name: string;
  /** Ids of the spans, in order of their calls. */
  spans: string[];
  counts: Record<string, number>;
  /** `row`: one after the other; `side`: side by side; `one`: a single call. */
  shape: "one" | "side" | "row";
  /** From the first beginning to the last end; null: some of it goes on. */
  tookMs: number | null;
  startMs: number;
  endMs: number | null;
}

export interface Graph {
  nodes: GraphNode[];
  edges: [string, string][];
}

/** Deadlines only say how long something may take, operations what the body asked of others. */
const LEFT_OUT: ReadonlySet<string> = new Set(["run", "deadline", "operation"]);

export function makeGraph(spans: readonly Span[]): Graph {
  const calls = spans.filter((span) => !LEFT_OUT.has(span.kind)).sort((one, other) => one.seq - other.seq);
  return foldRows(foldSides(calls, findBefore(calls)));
}

/** For each call, the places (in `calls`) of those that it comes after. */
function findBefore(calls: readonly Span[]): number[][] {
  const ends = calls
    .map((span, place) => ({ place, seq: span.end_seq }))
    .filter((one): one is { place: number; seq: number } => one.seq !== null)
    .sort((one, other) => one.seq - other.seq);
  const before: number[][] = [];
  let ended = 0;
  let open: number[] = [];
  let batch: number[] = [];
  for (const span of calls) {
    const fresh: number[] = [];
    while (ended < ends.length && ends[ended]!.seq < span.seq) fresh.push(ends[ended++]!.place);
    if (fresh.length > 0) {
      open.push(...fresh);
      batch = open;
      open = [];
    }
    before.push(batch);
  }
  return before;
}

function foldSides(calls: readonly Span[], before: readonly number[][]): Graph {
  const nodes: GraphNode[] = [];
  const byKey = new Map<string, GraphNode>();
  const nodeOf: GraphNode[] = [];
  const edges = new Map<string, [string, string]>();
  calls.forEach((span, place) => {
    const parents = [...new Set(before[place]!.map((one) => nodeOf[one]!.id))].sort();
    const key = JSON.stringify([span.kind, span.name, parents]);
    let node = byKey.get(key);
    if (node) join(node, span);
    else {
      node = start(span);
      byKey.set(key, node);
      nodes.push(node);
    }
    nodeOf[place] = node;
    for (const parent of parents) if (parent !== node.id) edges.set(`${parent} ${node.id}`, [parent, node.id]);
  });
  return { nodes, edges: [...edges.values()] };
}

function start(span: Span): GraphNode {
  return {
    id: span.id,
    kind: span.kind,
    name: span.name,
    spans: [span.id],
    counts: { [span.status]: 1 },
    shape: "one",
    tookMs: span.end_ms === null ? null : span.end_ms - span.start_ms,
    startMs: span.start_ms,
    endMs: span.end_ms,
  };
}

function join(node: GraphNode, span: Span): void {
  node.spans.push(span.id);
  node.counts[span.status] = (node.counts[span.status] ?? 0) + 1;
  node.shape = "side";
  node.startMs = Math.min(node.startMs, span.start_ms);
  node.endMs = node.endMs === null || span.end_ms === null ? null : Math.max(node.endMs, span.end_ms);
  node.tookMs = node.endMs === null ? null : node.endMs - node.startMs;
}

/** Fold calls of one name in a row: each comes after the one before it only, and is all that does. */
function foldRows({ nodes, edges }: Graph): Graph {
  const after = new Map<string, string[]>();
  const before = new Map<string, string[]>();
  for (const [one, other] of edges) {
    after.set(one, [...(after.get(one) ?? []), other]);
    before.set(other, [...(before.get(other) ?? []), one]);
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const into = new Map<string, string>();
  const rootOf = (id: string): string => into.get(id) ?? id;
  for (const node of nodes) {
    const only = before.get(node.id)?.length === 1 ? byId.get(rootOf(before.get(node.id)![0]!)) : undefined;
    const isAlone = only && after.get(before.get(node.id)![0]!)?.length === 1;
    if (!only || !isAlone || only.kind !== node.kind || only.name !== node.name) continue;
    if (only.shape === "side" || node.shape === "side") continue;
    only.spans.push(...node.spans);
    for (const [status, count] of Object.entries(node.counts)) only.counts[status] = (only.counts[status] ?? 0) + count;
    only.shape = "row";
    only.endMs = node.endMs;
    only.tookMs = node.endMs === null ? null : node.endMs - only.startMs;
    into.set(node.id, only.id);
  }
  const kept = new Map<string, [string, string]>();
  for (const [one, other] of edges) {
    const [from, to] = [rootOf(one), rootOf(other)];
    if (from !== to) kept.set(`${from} ${to}`, [from, to]);
  }
  return { nodes: nodes.filter((node) => !into.has(node.id)), edges: [...kept.values()] };
}

/** The status that says most: what failed, then what goes on, then what is done. */
export function statusOf(node: GraphNode): string {
  const order = ["failed", "conflict", "retrying", "running", "waiting", "queued", "held", "cancelled", "abandoned"];
  return order.find((status) => node.counts[status]) ?? Object.keys(node.counts)[0] ?? "completed";
}

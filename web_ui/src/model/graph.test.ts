import { describe, expect, test } from "vitest";
import type { Span } from "../api_types";
import { type Graph, makeGraph, statusOf } from "./graph";

/** Write a call: its name, the events that begin and end it, its kind. */
const call = (id: number, name: string, seq: number, end: number | null, facts: Partial<Span> = {}): Span =>
  ({
    id: String(id),
    kind: "step",
    name,
    status: end === null ? "running" : "completed",
    seq,
    end_seq: end,
    start_ms: seq,
    end_ms: end,
    ...facts,
  }) as Span;

const edgesOf = ({ nodes, edges }: Graph) => {
  const nameOf = new Map(nodes.map((node) => [node.id, `${node.name}×${node.spans.length}`]));
  return edges.map(([one, other]) => `${nameOf.get(one)} > ${nameOf.get(other)}`);
};

test("steps one after the other make a line", () => {
  const graph = makeGraph([call(1, "a", 3, 4), call(2, "b", 5, 6), call(3, "c", 7, 8)]);
  expect(edgesOf(graph)).toEqual(["a×1 > b×1", "b×1 > c×1"]);
});

test("a fan-out is one node with a count, and what comes after all of it comes after it", () => {
  const spans = [
    call(1, "plan", 2, 3),
    ...[1, 2, 3, 4].map((n) => call(1 + n, "render", 3 + n, 10 + n)),
    call(9, "publish", 15, 16),
  ];
  const graph = makeGraph(spans);
  expect(edgesOf(graph)).toEqual(["plan×1 > render×4", "render×4 > publish×1"]);
  expect(graph.nodes[1]).toMatchObject({ shape: "side", startMs: 4, endMs: 14, tookMs: 10 });
});

test("branches that go on by themselves fold step by step", () => {
  const spans = [
    call(1, "render", 2, 4),
    call(2, "render", 3, 6),
    call(3, "report", 5, 8), // after the first render
    call(4, "report", 7, 9), // after the second
    call(5, "publish", 10, 11),
  ];
  expect(edgesOf(makeGraph(spans))).toEqual(["render×2 > report×2", "report×2 > publish×1"]);
});

test("a loop is one node: calls of one name in a row", () => {
  const spans = Array.from({ length: 100 }, (_, n) => call(n + 1, "poll", 2 + 2 * n, 3 + 2 * n));
  const graph = makeGraph([...spans, call(200, "done", 300, 301)]);
  expect(edgesOf(graph)).toEqual(["poll×100 > done×1"]);
  expect(graph.nodes[0]).toMatchObject({ shape: "row", spans: expect.arrayContaining(["1", "100"]) });
});

describe("what goes on", () => {
  test("has no end, and nothing comes after it", () => {
    const graph = makeGraph([call(1, "a", 2, 3), call(2, "wait", 4, null, { kind: "hook" })]);
    expect(edgesOf(graph)).toEqual(["a×1 > wait×1"]);
    expect(graph.nodes[1]!.tookMs).toBeNull();
  });

  test("the status that says most is shown", () => {
    const spans = [
      call(1, "a", 2, 9, { status: "completed" }),
      call(2, "a", 3, 8, { status: "failed" }),
      call(3, "a", 4, null),
    ];
    expect(statusOf(makeGraph(spans).nodes[0]!)).toBe("failed");
  });
});

test("the run, deadlines and operations are no calls of the user's", () => {
  const kinds = ["run", "deadline", "operation"] as const;
  expect(makeGraph(kinds.map((kind, n) => call(n, kind, n + 1, n + 2, { kind }))).nodes).toEqual([]);
  expect(makeGraph([])).toEqual({ nodes: [], edges: [] });
});

test("ten thousand calls are folded in a moment, whatever their shape", () => {
  const wide = Array.from({ length: 5000 }, (_, n) => call(n + 1, "wide", n + 2, 10_000 + n));
  const long = Array.from({ length: 5000 }, (_, n) => call(6000 + n, "long", 20_000 + 2 * n, 20_001 + 2 * n));
  expect(edgesOf(makeGraph([...wide, ...long]))).toEqual(["wide×5000 > long×5000"]);
});

// The graph of a run: calls as nodes, fan-outs and loops folded with their counts. Laid out by dagre.

import dagre from "@dagrejs/dagre";
import { useMemo } from "preact/hooks";
import type { Span } from "../../api_types";
import { type GraphNode, makeGraph, statusOf } from "../../model/graph";
import { showCount, showDuration } from "../../model/instants";
import type { LiveTrace } from "../../model/live_trace";
import { printable } from "../../model/printable";
import { lookOf } from "../../model/statuses";
import { Empty } from "../parts/small";
import { useGrowing } from "./growing";

const WIDTH = 252;
const HEIGHT = 46;
const MOST_NODES = 500;
const LETTERS = 25;
const FACTS = 44;
const MARGIN = 12;

export function GraphTab({
  trace,
  selected,
  onSelect,
}: {
  trace: LiveTrace;
  selected: string | null;
  onSelect: (spanId: string) => void;
}) {
  const spans = useGrowing(trace, (live) => live.showAll().spans);
  const graph = useMemo(() => makeGraph(spans), [spans]);
  const drawn = useMemo(() => (graph.nodes.length <= MOST_NODES ? layOut(graph) : null), [graph]);
  if (graph.nodes.length === 0) return <Empty title="It has called nothing yet" />;
  if (!drawn) {
    return (
      <Empty title="There is too much to draw">
        <p class="dim">{showCount(graph.nodes.length)} nodes are left after folding. The timeline shows them all.</p>
      </Empty>
    );
  }
  return (
    <div class="graph" tabIndex={0} role="group" aria-label="graph of the run">
      <svg width={drawn.width} height={drawn.height} role="presentation">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0.5 7.5 4 0 7.5z" class="graph-arrow" />
          </marker>
        </defs>
        {drawn.edges.map((path) => (
          <path key={path} d={path} class="graph-edge" marker-end="url(#arrow)" />
        ))}
        {drawn.nodes.map(({ node, x, y }) => (
          <Node
            key={node.id}
            node={node}
            x={x}
            y={y}
            isSelected={selected !== null && node.spans.includes(selected)}
            onSelect={() => onSelect(worstOf(node, spans))}
          />
        ))}
      </svg>
    </div>
  );
}

function Node({
  node,
  x,
  y,
  isSelected,
  onSelect,
}: {
  node: GraphNode;
  x: number;
  y: number;
  isSelected: boolean;
  onSelect: () => void;
}) {
  const look = lookOf(statusOf(node));
  const count = node.spans.length;
  const short = printable(node.name.split(":").at(-1)!);
  const name = short.length > LETTERS ? `${short.slice(0, LETTERS - 1)}…` : short;
  const told = Object.entries(node.counts).map(([status, many]) => (count > 1 ? `${many} ${status}` : status));
  const how = node.shape === "side" ? "side by side" : node.shape === "row" ? "in a row" : "";
  const shownName = count > 1 ? `${name} ×${showCount(count)}` : name;
  const status = count > 1 ? told.slice(0, 2).join(", ") : look.label;
  const shownFacts = [node.kind === "step" ? null : node.kind, status, showDuration(node.tookMs), how]
    .filter(Boolean)
    .join(" · ");
  return (
    <g
      class={`graph-node tone-${look.tone} ${isSelected ? "is-selected" : ""}`}
      transform={`translate(${x} ${y})`}
      role="button"
      tabIndex={0}
      onClick={onSelect}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        onSelect();
      }}
    >
      {node.shape === "side" && <rect x={4} y={4} width={WIDTH} height={HEIGHT} rx={6} class="graph-behind" />}
      <rect width={WIDTH} height={HEIGHT} rx={6} class="graph-box" />
      <rect width={4} height={HEIGHT} rx={2} class="graph-mark" />
      <text x={14} y={19} class="graph-name">
        {shownName}
      </text>{" "}
      <text x={14} y={36} class="graph-facts">
        {shownFacts.length > FACTS ? `${shownFacts.slice(0, FACTS - 1)}…` : shownFacts}
      </text>
      <title>{`${count > 1 ? `${short} ×${showCount(count)}` : short}: ${shownFacts}`}</title>
    </g>
  );
}

/** Of many calls, show one that failed, else one that goes on, else the first. */
function worstOf(node: GraphNode, spans: readonly Span[]): string {
  const wanted = statusOf(node);
  const ids = new Set(node.spans);
  return spans.find((span) => ids.has(span.id) && span.status === wanted)?.id ?? node.spans[0]!;
}

function layOut({ nodes, edges }: ReturnType<typeof makeGraph>) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 34, marginx: MARGIN, marginy: MARGIN });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: WIDTH, height: HEIGHT });
  for (const [one, other] of edges) graph.setEdge(one, other);
  dagre.layout(graph);
  const size = graph.graph();
  return {
    width: Math.ceil(size.width ?? WIDTH) + MARGIN,
    height: Math.ceil(size.height ?? HEIGHT) + MARGIN,
    nodes: nodes.map((node) => {
      const at = graph.node(node.id);
      return { node, x: Math.round(at.x! - WIDTH / 2), y: Math.round(at.y! - HEIGHT / 2) };
    }),
    edges: graph.edges().map((edge) => {
      const points: { x: number; y: number }[] = graph.edge(edge).points ?? [];
      return points.map(({ x, y }, index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    }),
  };
}

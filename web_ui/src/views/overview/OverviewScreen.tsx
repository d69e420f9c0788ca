// Overview: how it goes, from all history. Every figure is a query that can be opened and changed.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { call, Failure } from "../../api";
import type { QueryResult } from "../../api_types";
import { countInto } from "../../model/histogram";
import { showBytes, showCount, showDuration } from "../../model/instants";
import { placeOf, runPlace } from "../../model/places";
import { hear } from "../../state/live";
import { usePulse } from "../../state/pulse";
import { useResource } from "../../state/resource";
import { go, place, setParams } from "../../state/router";
import { A, Empty, FailureNote, Loading, ScreenHead } from "../parts/small";
import { Histogram } from "../runs/Histogram";

const SPANS = [
  ["1h", "hour"],
  ["24h", "day"],
  ["7d", "week"],
  ["30d", "month"],
] as const;
const EVERY_MS = 15_000;
/** Five cards ask at once, each in a process of its own: on a busy machine that takes longer than one query may. */
const MOST_SECONDS = 60;

const QUERIES = {
  totals: (ago: string) => `SELECT count(*) AS runs,
  count(*) FILTER (status = 'failed') AS failed,
  count(*) FILTER (status IN ('completed', 'failed', 'cancelled')) AS ended,
  count(*) FILTER (status IN ('pending', 'running')) AS in_flight,
  p95(CASE WHEN status = 'completed' THEN duration_ms END) AS p95_ms,
  sum(payload_bytes) AS bytes, sum(events) AS events
FROM runs WHERE created_at > since('${ago}')`,
  throughput: (
    ago: string,
  ) => `SELECT epoch_ms(time_bucket(INTERVAL '${BUCKETS[ago]}', created_at)) AS moment, status, count(*) AS runs
FROM runs WHERE created_at > since('${ago}') GROUP BY ALL ORDER BY moment`,
  workflows: (ago: string) => `SELECT workflow, count(*) AS runs,
  count(*) FILTER (status = 'failed') AS failed,
  p50(CASE WHEN status = 'completed' THEN duration_ms END) AS p50_ms,
  p95(CASE WHEN status = 'completed' THEN duration_ms END) AS p95_ms,
  sum(payload_bytes) AS bytes
FROM runs WHERE created_at > since('${ago}') GROUP BY workflow ORDER BY runs DESC LIMIT 20`,
  waits: () => `SELECT run_id, workflow, name, epoch_ms(now() - created_at::TIMESTAMPTZ) AS waited_ms
FROM hooks WHERE ended_at IS NULL ORDER BY created_at LIMIT 10`,
  storage: () => `SELECT 'runs' AS kind, count(*) AS rows, NULL AS bytes FROM runs
UNION ALL SELECT 'events', count(*), sum(payload_bytes) FROM events
UNION ALL SELECT 'steps', count(*), NULL FROM steps
UNION ALL SELECT 'attempts', count(*), NULL FROM attempts
UNION ALL SELECT 'hooks', count(*), NULL FROM hooks
UNION ALL SELECT 'waits', count(*), NULL FROM waits
UNION ALL SELECT 'chunks', count(*), sum(payload_bytes) FROM chunks`,
};
const BUCKETS: Record<string, string> = { "1h": "1 minute", "24h": "15 minutes", "7d": "2 hours", "30d": "8 hours" };
const HOUR_MS = 3_600_000;
const WIDTHS_MS: Record<string, number> = {
  "1h": HOUR_MS / 60,
  "24h": HOUR_MS / 4,
  "7d": 2 * HOUR_MS,
  "30d": 8 * HOUR_MS,
};
const SPANS_MS: Record<string, number> = {
  "1h": HOUR_MS,
  "24h": 24 * HOUR_MS,
  "7d": 168 * HOUR_MS,
  "30d": 720 * HOUR_MS,
};

type Name = keyof typeof QUERIES;

export function OverviewScreen() {
  const asked = place.value?.params.get("since") ?? "24h";
  const ago = SPANS.some(([one]) => one === asked) ? asked : "24h";
  const [turn, setTurn] = useState(0);
  useEffect(() => hear("anew", () => setTurn((now) => now + 1)), []);
  usePulse(EVERY_MS, () => setTurn((now) => now + 1));
  return (
    <>
      <ScreenHead title="Overview">
        <div class="segmented" role="group" aria-label="of the last">
          {SPANS.map(([one, label]) => (
            <button type="button" key={one} aria-pressed={ago === one} onClick={() => setParams({ since: one })}>
              {label}
            </button>
          ))}
        </div>
      </ScreenHead>
      <div class="overview" key={ago}>
        <Card name="totals" ago={ago} turn={turn} title="Totals">
          {(result) => <Totals row={result.rows[0] ?? []} />}
        </Card>
        <Card name="throughput" ago={ago} turn={turn} title="Throughput">
          {(result) => <Throughput result={result} ago={ago} />}
        </Card>
        <Card name="workflows" ago={ago} turn={turn} title="Workflows">
          {(result) => <Workflows result={result} />}
        </Card>
        <Card name="waits" ago={ago} turn={turn} title="Longest waits for somebody">
          {(result) => <Waits result={result} />}
        </Card>
        <Card name="storage" ago={ago} turn={turn} title="Storage">
          {(result) => <Storage result={result} turn={turn} />}
        </Card>
      </div>
    </>
  );
}

function Card({
  name,
  ago,
  turn,
  title,
  children,
}: {
  name: Name;
  ago: string;
  turn: number;
  title: string;
  children: (result: QueryResult) => ComponentChildren;
}) {
  const sql = QUERIES[name](ago);
  const loader = useResource(`${name} ${ago}`, async (signal) => {
    const result = await call("POST /api/query", {
      body: { sql, locked: true, timeout_seconds: MOST_SECONDS },
      signal,
    });
    const { error } = result;
    if (error) throw new Failure(error.slug, error.message, error.where, error.hint, 0);
    return result;
  });
  useEffect(() => {
    if (turn > 0) loader.reload();
  }, [turn, loader]);
  const { data, failure } = loader.state.value;
  return (
    <section class={`card card-${name}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <A href={placeOf("query", { sql })} class="dim">
          as SQL
        </A>
      </header>
      {failure && <FailureNote failure={failure} again={() => loader.reload()} />}
      {!data && !failure && <Loading what={title} rows={3} />}
      {data && children(data)}
    </section>
  );
}

function Totals({ row }: { row: unknown[] }) {
  const [runs, failed, ended, inFlight, p95, bytes, events] = row.map((one) => (one === null ? null : Number(one)));
  const rate = ended ? (failed ?? 0) / ended : null;
  const figures: [string, string, string?][] = [
    ["runs", showCount(runs ?? 0)],
    ["in flight", showCount(inFlight ?? 0)],
    [
      "failed",
      rate === null ? "–" : `${(rate * 100).toFixed(rate > 0 && rate < 0.1 ? 1 : 0)} %`,
      failed ? "tone-bad" : "",
    ],
    ["p95", showDuration(p95) || "–"],
    ["events", showCount(events ?? 0)],
    ["payloads", showBytes(bytes ?? 0)],
  ];
  return (
    <dl class="figures">
      {figures.map(([name, value, tone]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={`num ${tone ?? ""}`}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Throughput({ result, ago }: { result: QueryResult; ago: string }) {
  const items = result.rows.map(([at, status, runs]) => ({
    atMs: Number(at),
    status: String(status),
    count: Number(runs),
  }));
  if (items.length === 0) return <p class="dim">Nothing ran in this time.</p>;
  const nowMs = Date.now();
  return (
    <Histogram
      bins={countInto(items, { widthMs: WIDTHS_MS[ago]!, fromMs: nowMs - SPANS_MS[ago]!, toMs: nowMs })}
      isWhole
      onBrush={(fromMs, toMs) => {
        const times = `after:${new Date(fromMs).toISOString()} before:${new Date(toMs).toISOString()}`;
        go(placeOf("runs", { q: times }));
      }}
    />
  );
}

function Workflows({ result }: { result: QueryResult }) {
  if (result.rows.length === 0) return <Empty title="Nothing ran in this time" />;
  const slowest = Math.max(1, ...result.rows.map((row) => Number(row[4] ?? 0)));
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="workflows">
      <table class="plain-table">
        <thead>
          <tr>
            {["Workflow", "Runs", "Failed", "p50", "p95", "Payloads"].map((title, index) => (
              <th scope="col" key={title} class={index ? "cell-right" : ""}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {result.rows.map(([workflow, runs, failed, p50, p95, bytes]) => (
            <tr key={String(workflow)}>
              <td>
                <A href={placeOf("runs", { q: `workflow:${String(workflow)}` })}>{String(workflow)}</A>
              </td>
              <td class="num cell-right">{showCount(Number(runs))}</td>
              <td class={`num cell-right ${Number(failed) ? "tone-bad" : "dim"}`}>{showCount(Number(failed))}</td>
              <td class="num cell-right">{showDuration(p50 === null ? null : Number(p50))}</td>
              <td class="num cell-right">
                <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                  <rect width={(Number(p95 ?? 0) / slowest) * 100} height={6} />
                </svg>
                {showDuration(p95 === null ? null : Number(p95))}
              </td>
              <td class="num cell-right">{showBytes(Number(bytes ?? 0))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Waits({ result }: { result: QueryResult }) {
  if (result.rows.length === 0) return <p class="dim">Nothing waits for anybody.</p>;
  return (
    <table class="plain-table">
      <thead>
        <tr>
          <th scope="col">Run</th>
          <th scope="col">Hook</th>
          <th scope="col" class="cell-right">
            Waits for
          </th>
        </tr>
      </thead>
      <tbody>
        {result.rows.map(([id, workflow, name, waited], index) => (
          <tr key={index}>
            <td>
              <A href={runPlace(String(id))} class="mono">
                {String(id)}
              </A>{" "}
              <span class="dim">{String(workflow)}</span>
            </td>
            <td>{String(name ?? "")}</td>
            <td class="num cell-right">{showDuration(Number(waited))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const FILES: Record<string, string> = {
  world: "the world",
  log: "its write-ahead log, which is emptied into it",
  mirror: "SQL’s copy, which is disposable",
  other: "beside it",
};

/** What the disk holds, and what is in it: of all time, not of the span that was chosen. */
function Storage({ result, turn }: { result: QueryResult; turn: number }) {
  const loader = useResource("storage", (signal) => call("GET /api/storage", { signal }));
  useEffect(() => {
    if (turn > 0) loader.reload();
  }, [turn, loader]);
  const { data, failure } = loader.state.value;
  const kinds = ["world", "log", "mirror", "other"] as const;
  const files = kinds.map((kind) => {
    const bytes = data?.files.filter((file) => file.kind === kind).reduce((sum, file) => sum + file.bytes, 0);
    return { kind, bytes: bytes ?? 0 };
  });
  const largest = Math.max(1, ...files.map(({ bytes }) => bytes));
  return (
    <div class="storage">
      <div>
        {failure && <FailureNote failure={failure} again={() => loader.reload()} />}
        {data && (
          <table class="plain-table">
            <caption class="dim mono cut" title={data.world}>
              {data.world}
            </caption>
            <thead>
              <tr>
                <th scope="col">Files</th>
                <th scope="col" class="cell-right">
                  Size
                </th>
              </tr>
            </thead>
            <tbody>
              {files
                .filter(({ bytes }) => bytes > 0)
                .map(({ kind, bytes }) => (
                  <tr key={kind}>
                    <td>{FILES[kind]}</td>
                    <td class="num cell-right">
                      <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                        <rect width={(bytes / largest) * 100} height={6} />
                      </svg>
                      {showBytes(bytes)}
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
        )}
        {data?.files.length === 0 && <p class="dim">This world is not on this disk.</p>}
        {data?.free_bytes != null && <p class="dim num">{showBytes(data.free_bytes)} free on its disk</p>}
      </div>
      <table class="plain-table">
        <thead>
          <tr>
            <th scope="col">Kind</th>
            <th scope="col" class="cell-right">
              Rows
            </th>
            <th scope="col" class="cell-right">
              Payloads, sealed
            </th>
          </tr>
        </thead>
        <tbody>
          {result.rows.map(([kind, rows, bytes]) => (
            <tr key={String(kind)}>
              <td>{String(kind)}</td>
              <td class="num cell-right">{showCount(Number(rows))}</td>
              <td class="num cell-right">{bytes === null ? "" : showBytes(Number(bytes))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

#!/usr/bin/env node
/**
 * Measures the timeline of the browser studio in headless Chromium, and prints one JSON line per figure.
 *
 *     node tests/browser/bench_timeline.mjs [--spans 100000] [--shots DIRECTORY] [--only NAME]
 *
 * It builds the bench page (`web_ui/bench`), serves it under the studio's Content-Security-Policy with a stream of a
 * thousand events a second, and drives it. A figure has its budget (DESIGN.md §8); nothing is asserted but what must
 * hold on any machine: that pictures are there, that no rule of the policy was broken, that an export is whole.
 *
 *     first_paint_ms       a trace of 100 000 spans as text → painted: parsed, laid out, drawn
 *     frame_work_ms        from a frame's begin to the hand-over to the compositor, while panning and zooming
 *     frame_interval_ms    from frame to frame, as the screen would show them
 *     frame_cpu_ms         what a frame costs the page's main thread, by the thread's own clock: hardly depends on the load
 *     hit_test_ms          what lies under a point
 *     live_dropped_frames  frames that came late while 1 000 events a second were folded in
 *     export               a Chrome trace of all spans
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const WEB_UI = join(HERE, "..", "..", "web_ui");
const { chromium } = createRequire(join(WEB_UI, "package.json"))("playwright-core");

export const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** As `wfstudio/server/guard.py` has it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json" };

const EVENTS_A_SECOND = 1000;
const LIVE_SECONDS = 8;

export function findChromium() {
  const found = CHROMIUM.find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium here: apt-get install chromium, or name one in CHROMIUM");
  return found;
}

/** Build the bench page into a directory. */
export function buildPage(directory) {
  const vite = join(WEB_UI, "node_modules", "vite", "bin", "vite.js");
  const config = join(WEB_UI, "bench", "vite.config.mjs");
  const built = spawnSync(process.execPath, [vite, "build", "--config", config, "--logLevel", "warn"], {
    cwd: WEB_UI,
    env: { ...process.env, BENCH_OUT: directory },
    encoding: "utf8",
  });
  if (built.status !== 0) throw new Error(`vite build failed:\n${built.stdout}${built.stderr}`);
}

/** Serve a directory, traces by run id, and a stream of events; gives the address and how to close it. */
export async function serve(directory, { traces = {}, writeEvents = null } = {}) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    response.setHeader("Content-Security-Policy", POLICY);
    response.setHeader("X-Content-Type-Options", "nosniff");
    if (url.pathname === "/events" && writeEvents !== null) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      writeEvents(response, Number(url.searchParams.get("after")));
      return;
    }
    if (url.pathname.startsWith("/traces/")) {
      const trace = traces[decodeURIComponent(url.pathname.slice("/traces/".length))];
      response.writeHead(trace === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(trace ?? "{}");
      return;
    }
    if (url.pathname === "/favicon.ico") {
      response.writeHead(204).end();
      return;
    }
    const path = join(directory, normalize(url.pathname));
    if (!path.startsWith(directory) || !existsSync(path)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
    response.end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Open the page; what the browser complains about is kept in `complaints`. */
export async function openPage(browser, url, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await page.waitForFunction(() => window.bench !== undefined);
  return { page, complaints };
}

export function quantile(values, share) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function print(name, value, more = {}) {
  const rounded = Object.fromEntries(Object.entries({ value, ...more }).map(([key, one]) => [key, round(one)]));
  // What else this machine does is in every figure: two cores at a load of four make them twice as large.
  console.log(JSON.stringify({ figure: `timeline_${name}`, ...rounded, load: round(loadavg()[0]) }));
}

function round(value) {
  return typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
}

async function measureFirstPaint(page, spans) {
  await page.evaluate(
    ([count]) => {
      window.benchText = window.bench.makeText(count);
    },
    [spans],
  );
  const runs = [];
  for (let turn = 0; turn < 5; turn++) runs.push(await page.evaluate(() => window.bench.paintFirst(window.benchText)));
  const cold = runs[0];
  print("first_paint_ms", cold.paintMs, { budget: 1000, spans, parse_ms: Math.round(cold.parseMs), is: "first in the page" });
  print("first_paint_warm_ms", quantile(runs.slice(1).map((run) => run.paintMs), 0.5), { budget: 1000, spans });
}

/** Zoom in, pan, scroll and zoom out by real input, a step a frame; frames are recorded meanwhile. */
async function measureFrames(page, arrangement) {
  await page.getByRole("button", { name: arrangement, exact: true }).click();
  await page.evaluate(() => window.bench.afterPaint());
  const box = await page.locator(".tl-chart").boundingBox();
  await page.mouse.move(box.x + box.width * 0.55, box.y + box.height * 0.5);
  const readCpu = await watchCpu(page);
  const cpuBefore = await readCpu();
  const frames = page.evaluate(() => window.bench.recordFrames());
  await page.evaluate(async () => {
    const canvas = document.querySelector(".tl-chart");
    const box = canvas.getBoundingClientRect();
    const at = { clientX: box.left + box.width * 0.55, clientY: box.top + box.height * 0.5, bubbles: true, cancelable: true };
    const wheel = (more) => canvas.dispatchEvent(new WheelEvent("wheel", { ...at, ...more }));
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const pointer = (type, x, y) =>
      canvas.dispatchEvent(
        new PointerEvent(type, { ...at, clientX: at.clientX + x, clientY: at.clientY + y, pointerId: 1, button: 0 }),
      );
    window.roundEnds = [];
    for (let round = 0; round < 4; round++) {
      for (let step = 0; step < 60; step++, await frame()) wheel({ deltaY: -12, ctrlKey: true });
      for (let step = 0; step < 40; step++, await frame()) wheel({ deltaX: 60 });
      for (let step = 0; step < 60; step++, await frame()) wheel({ deltaY: 180 });
      for (let step = 0; step < 40; step++, await frame()) pointer("pointermove", step * 6 - 120, step * 3);
      for (let step = 0; step < 60; step++, await frame()) wheel({ deltaY: 12, ctrlKey: true });
      for (let step = 0; step < 60; step++, await frame()) wheel({ deltaY: -180 });
      window.roundEnds.push(window.bench.countFrames());
    }
    window.bench.stopFrames();
  });
  const { work, intervals } = await frames;
  const cpuMs = ((await readCpu()) - cpuBefore) / work.length;
  const ends = await page.evaluate(() => window.roundEnds);
  const rounds = ends.map((end, at) => quantile(work.slice(ends[at - 1] ?? 0, end), 0.95));
  const name = arrangement.toLowerCase();
  print(`frame_work_p95_ms_${name}`, quantile(work, 0.95), { budget: 16, quietest_round: Math.min(...rounds), median: quantile(work, 0.5), worst: quantile(work, 1), frames: work.length });
  print(`frame_cpu_mean_ms_${name}`, cpuMs);
  print(`frame_interval_p95_ms_${name}`, quantile(intervals, 0.95), { worst: quantile(intervals, 1), late: late(intervals) });
}

/** Read how long the page's main thread has worked, in milliseconds of its own time. */
async function watchCpu(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((metric) => metric.name === "TaskDuration").value * 1000;
  };
}

/** Frames that came later than one and a half of a 60 Hz screen's. */
function late(intervals) {
  return intervals.filter((interval) => interval > 25).length;
}

async function measureHits(page) {
  for (const arrangement of ["Calls", "Names"]) {
    await page.getByRole("button", { name: arrangement, exact: true }).click();
    await page.getByRole("button", { name: "Fit", exact: true }).click();
    await page.evaluate(() => window.bench.afterPaint());
    const { times, hits } = await page.evaluate(() => {
      const chart = window.timelineChart;
      const times = [];
      let hits = 0;
      for (let at = 0; at < 2000; at++) {
        const startMs = performance.now();
        // A hundred a reading: one is far below what the clock can tell.
        for (let again = 0; again < 100; again++) {
          if (chart.aim.hit(270 + ((at * 37 + again) % 1150), 30 + ((at * 13) % 700)) !== null) hits++;
        }
        times.push((performance.now() - startMs) / 100);
      }
      return { times, hits };
    });
    if (hits === 0) throw new Error("no hit test found anything");
    print(`hit_test_p95_ms_${arrangement.toLowerCase()}`, quantile(times, 0.95), { budget: 5, worst: quantile(times, 1), found: hits });
  }
}

/** Follow a run that has many spans already while a thousand events a second come in. */
async function measureLive(browser, server, spans) {
  const { page, complaints } = await openPage(browser, `${server.url}/timeline.html`);
  await page.evaluate(
    ([count]) => {
      const trace = JSON.parse(window.bench.makeText(count, false));
      const beganUs = Date.parse(trace.at) * 1000;
      const startMs = performance.now();
      const lastMs = trace.spans.reduce((last, span) => Math.max(last, span.end_ms ?? span.start_ms), 0);
      window.liveSpans = trace.spans.length;
      window.bench.show(trace, true, () => beganUs + (lastMs + performance.now() - startMs) * 1000);
    },
    [spans],
  );
  await page.waitForFunction(() => window.timelineChart !== undefined);
  await page.waitForFunction(() => window.timelineChart.scene.root.table.count > window.liveSpans + 100);
  const frames = page.evaluate(() => window.bench.recordFrames());
  const before = await page.evaluate(() => [window.timelineChart.scene.root.table.seq, performance.now()]);
  await page.waitForTimeout(LIVE_SECONDS * 1000);
  const after = await page.evaluate(() => [window.timelineChart.scene.root.table.seq, performance.now()]);
  await page.evaluate(() => window.bench.stopFrames());
  const { work, intervals } = await frames;
  const rate = ((after[0] - before[0]) / (after[1] - before[1])) * 1000;
  print(`live_dropped_frames_at_${spans}`, late(intervals), {
    budget: 0,
    frames: intervals.length,
    events_a_second: Math.round(rate),
    work_p95_ms: quantile(work, 0.95),
    work_worst_ms: quantile(work, 1),
    interval_p95_ms: quantile(intervals, 0.95),
    interval_worst_ms: quantile(intervals, 1),
  });
  await page.close();
  return complaints;
}

/** Steps of a millisecond, as a stream: each second a thousand events. */
function writeEvents(response, after) {
  let seq = after;
  let call = 1_000_000;
  const open = [];
  const startedMs = Date.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((Date.now() - startedMs) / 1000) * EVENTS_A_SECOND);
    let text = "";
    for (; sent < due; sent++) {
      const isEnd = open.length > 12 || (open.length > 0 && sent % 2 === 1);
      const id = isEnd ? open.shift() : ++call;
      if (!isEnd) open.push(id);
      const event = {
        seq: ++seq,
        type: isEnd ? "step_completed" : "step_created",
        correlation_id: id,
        name: `shop.site:step_${id % 5}`,
        attempt: 1,
        at: new Date(liveBaseMs + (Date.now() - startedMs)).toISOString().replace("Z", "000Z"),
        meta: {},
        payload: null,
        payload_bytes: 0,
        is_locked: true,
      };
      text += `id: ${seq}\ndata: ${JSON.stringify(event)}\n\n`;
    }
    if (text !== "") response.write(text);
  }, 5);
  response.on("close", () => clearInterval(timer));
}

let liveBaseMs = 0;

/** Press Export, open what was downloaded, and hold it against the spans that the chart has. */
async function checkExport(page, spans) {
  const startMs = performance.now();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export", exact: true }).click(),
  ]);
  const path = await download.path();
  const tookMs = performance.now() - startMs;
  const text = readFileSync(path, "utf8");
  const { traceEvents } = JSON.parse(text);
  const slices = traceEvents.filter((event) => (event.ph === "X" || event.ph === "B") && !event.cat.startsWith("segment"));
  const truth = await page.evaluate(() => {
    const { table } = window.timelineChart.scene.root;
    const spans = [];
    for (let span = 0; span < table.count; span++) spans.push([table.idOf(span), table.startMs[span], table.endMs[span]]);
    return spans;
  });
  const byId = new Map(slices.map((event) => [event.args.id, event]));
  for (const [id, startMs, endMs] of truth) {
    const slice = byId.get(id);
    const isRight =
      slice !== undefined &&
      Math.abs(slice.ts - startMs * 1000) < 0.6 &&
      (slice.ph === "B" || Math.abs(slice.ts + slice.dur - endMs * 1000) < 1.2);
    if (!isRight) throw new Error(`the export says something else of span ${id}: ${JSON.stringify(slice)}`);
  }
  if (slices.length !== truth.length) throw new Error(`the export has ${slices.length} slices of ${truth.length} spans`);
  print("export_ms", tookMs, { spans, events: traceEvents.length, megabytes: Math.round(text.length / 1e5) / 10 });
}

async function takeShots(browser, server, directory, traces) {
  mkdirSync(directory, { recursive: true });
  const looks = [["synthetic", "?spans=100000"], ...Object.keys(traces).map((name) => [name, `?trace=/traces/${name}`])];
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, search] of looks) {
      const { page } = await openPage(browser, `${server.url}/timeline.html${search}`, { colorScheme });
      await page.waitForFunction(() => window.timelineChart !== undefined);
      await page.waitForTimeout(600);
      const shot = (part) => page.screenshot({ path: join(directory, `${name}-${part}-${colorScheme}.png`) });
      await shot("calls");
      await page.getByRole("button", { name: "Names", exact: true }).click();
      await page.waitForTimeout(400);
      await shot("names");
      await page.close();
    }
  }
}

async function main() {
  const option = (name, otherwise) => {
    const at = process.argv.indexOf(`--${name}`);
    return at === -1 ? otherwise : process.argv[at + 1];
  };
  const spans = Number(option("spans", 100_000));
  const only = option("only", "");
  const shots = option("shots", "");
  const traceFiles = option("traces", "");
  const wants = (name) => only === "" || only === name;
  const directory = mkdtempSync(join(tmpdir(), "wf-timeline-"));
  const traces = {};
  for (const path of traceFiles.split(",").filter(Boolean)) {
    const text = readFileSync(path, "utf8");
    traces[path.replace(/^.*\/|\.json$/g, "")] = text;
    traces[JSON.parse(text).run_id] = text;
  }
  buildPage(directory);
  const server = await serve(directory, { traces, writeEvents });
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS });
  try {
    console.log(JSON.stringify({ machine: { cores: cpus().length, cpu: cpus()[0]?.model, chromium: browser.version() } }));
    if (shots !== "") {
      const named = Object.fromEntries(Object.entries(traces).filter(([name]) => !name.startsWith("wrun_")));
      await takeShots(browser, server, shots, named);
    }
    if (only === "shots") return;
    const { page, complaints } = await openPage(browser, `${server.url}/timeline.html`);
    await measureFirstPaint(page, spans);
    if (wants("frames")) for (const arrangement of ["Calls", "Names"]) await measureFrames(page, arrangement);
    if (wants("hits")) await measureHits(page);
    if (wants("export")) await checkExport(page, spans);
    await page.close();
    if (wants("live")) {
      for (const base of [100, spans]) {
        const ask = await openPage(browser, `${server.url}/timeline.html`);
        liveBaseMs = await ask.page.evaluate(([count]) => {
          const trace = JSON.parse(window.bench.makeText(count, false));
          return Date.parse(trace.at) + trace.spans.reduce((last, span) => Math.max(last, span.end_ms ?? span.start_ms), 0);
        }, [base]);
        await ask.page.close();
        complaints.push(...(await measureLive(browser, server, base)));
      }
    }
    if (complaints.length > 0) throw new Error(`the browser complained:\n${complaints.join("\n")}`);
  } finally {
    await browser.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

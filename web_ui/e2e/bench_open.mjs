// The studio's opening, measured: `python -m tests.browser.bench_open` starts this.
//
//   open_cold_ms          from asking for the page until its list of runs is painted, in a browser that has nothing of it
//   open_run_cold_ms      the same for a run with its timeline
//     …_cpu_ms            what the page's main thread worked until then, by its own clock: hardly depends on the load
//     …_scripts_kb        scripts that were asked for until then, as gzip packs them; `unpacked` as they are sent
//   open_warm_ms          the list for who was there before: scripts come from the browser's own store

import { loadavg } from "node:os";
import { gzipSync } from "node:zlib";
import { openBrowser } from "./browser.mjs";

const TURNS = 5;
const given = JSON.parse(process.argv[2]);
const { browser, context, page } = await openBrowser(given.chromium, given.url);

function print(name, value, more = {}) {
  const round = (one) => (typeof one === "number" ? Math.round(one * 10) / 10 : one);
  const rounded = Object.fromEntries(Object.entries({ value, ...more }).map(([key, one]) => [key, round(one)]));
  process.stdout.write(`${JSON.stringify({ figure: `open_${name}`, ...rounded, load: round(loadavg()[0]) })}\n`);
}

const median = (values) => [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)];

/** Open an address; gives how long it took until something is there and was painted. */
async function open(on, url, wanted) {
  const beganMs = performance.now();
  await on.goto(url);
  await on.locator(wanted).first().waitFor();
  await on.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  return performance.now() - beganMs;
}

/** Open it in a browser that knows who it is, and nothing else. */
async function openCold(url, wanted) {
  const fresh = await browser.newContext({ viewport: { width: 1360, height: 860 }, storageState });
  const one = await fresh.newPage();
  const answers = [];
  one.on("response", (answer) => answers.push(answer));
  const session = await fresh.newCDPSession(one);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const tookMs = await open(one, url, wanted);
  const { metrics } = await session.send("Performance.getMetrics");
  const cpuMs = metrics.find((metric) => metric.name === "TaskDuration").value * 1000;
  const scripts = answers.filter((answer) => new URL(answer.url()).pathname.endsWith(".js"));
  const bodies = await Promise.all(scripts.map((answer) => answer.body()));
  await fresh.close();
  const packed = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
  return {
    tookMs,
    cpuMs,
    scripts: { packed, plain: bodies.reduce((sum, body) => sum + body.length, 0), files: bodies.length },
  };
}

async function measureCold(name, url, wanted) {
  const turns = [];
  for (let turn = 0; turn < TURNS; turn++) turns.push(await openCold(url, wanted));
  const took = turns.map(({ tookMs }) => tookMs);
  print(`${name}_ms`, took[0], { budget: 1000, median: median(took), worst: Math.max(...took) });
  print(`${name}_cpu_ms`, median(turns.map(({ cpuMs }) => cpuMs)));
  const { packed, plain, files } = turns[0].scripts;
  print(`${name}_scripts_kb`, packed / 1024, { budget: 250, unpacked: plain / 1024, files });
}

const RUNS = ".grid-row a[href^='/runs/']";
await open(page, given.launchUrl, "h1");
const started = await page.evaluate(async (body) => {
  const headers = { "content-type": "application/json", "x-wf": "1" };
  const answer = await fetch("/api/runs", { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
}, given.start);
await open(page, `${given.url}/runs`, RUNS);
const storageState = await context.storageState();

await measureCold("cold", `${given.url}/runs`, RUNS);
await measureCold("run_cold", `${given.url}/runs/${encodeURIComponent(started.id)}`, ".tl-chart");

const warm = [];
for (let turn = 0; turn < TURNS; turn++) warm.push(await open(page, `${given.url}/runs`, RUNS));
print("warm_ms", median(warm), { budget: 1000, worst: Math.max(...warm) });
await browser.close();

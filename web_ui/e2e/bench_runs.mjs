// The list of runs, measured: `python -m tests.browser.bench_runs` writes the world and starts this.
//
//   runs_cold_open_ms       from asking for the page until rows are painted, in a browser that has nothing of it yet
//   runs_all_loaded_ms      scrolling to the end again and again, until every run is in the list
//   runs_wheel_…            120 px a frame, a notch of the wheel, through a list that has all runs; `fling`: 900 px a frame
//     frame_work_p95_ms     from a frame's begin to the hand-over to the compositor
//     frame_interval_p95_ms from frame to frame
//     frame_cpu_mean_ms     what a frame costs the page's main thread, by the thread's own clock
//   runs_jump_p95_ms        from a jump to anywhere until its rows are painted

import { loadavg } from "node:os";
import { join } from "node:path";
import { openBrowser } from "./browser.mjs";

const given = JSON.parse(process.argv[2]);
const { browser, page } = await openBrowser(given.chromium, given.url);
page.setDefaultTimeout(120_000);

function print(name, value, more = {}) {
  const rounded = Object.fromEntries(
    Object.entries({ value, ...more }).map(([key, one]) => [
      key,
      typeof one === "number" ? Math.round(one * 100) / 100 : one,
    ]),
  );
  process.stdout.write(
    `${JSON.stringify({
      figure: `runs_${name}`,
      ...rounded,
      runs: given.runs,
      load: Math.round(loadavg()[0] * 100) / 100,
    })}\n`,
  );
}

function quantile(values, share) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Of the stretches of a hundred frames, the one in which this machine did least besides. */
function quietest(work) {
  const rounds = [];
  for (let at = 0; at + 100 <= work.length; at += 100) rounds.push(quantile(work.slice(at, at + 100), 0.95));
  return Math.min(...rounds);
}

const beganMs = performance.now();
await page.goto(given.launchUrl);
await page.locator(".grid-space .grid-row").nth(10).waitFor();
print("cold_open_ms", performance.now() - beganMs, { budget: 1000 });

const loadMs = performance.now();
await page.evaluate(async (wanted) => {
  const scroller = document.querySelector(".grid-scroll");
  const rows = () => Math.round(document.querySelector(".grid-space").getBoundingClientRect().height / 32);
  while (rows() < wanted) {
    scroller.scrollTop = scroller.scrollHeight;
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}, given.runs);
print("all_loaded_ms", performance.now() - loadMs);

const session = await page.context().newCDPSession(page);
await session.send("Performance.enable", { timeDomain: "threadTicks" });
async function readCpu() {
  const { metrics } = await session.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value * 1000]));
}

/** Scroll by so much a frame, and give each frame's work and the time since the one before. */
async function scroll(perFrame, frames) {
  return page.evaluate(
    async ([step, count]) => {
      const scroller = document.querySelector(".grid-scroll");
      scroller.scrollTop = scroller.scrollHeight / 3;
      await new Promise((resolve) => setTimeout(resolve, 400));
      const work = [];
      const intervals = [];
      let lastMs = 0;
      for (let frame = 0; frame < count; frame++) {
        const timeMs = await new Promise((resolve) => requestAnimationFrame(resolve));
        const startMs = performance.now();
        if (lastMs > 0) intervals.push(timeMs - lastMs);
        lastMs = timeMs;
        const channel = new MessageChannel();
        channel.port1.onmessage = () => work.push(performance.now() - startMs);
        channel.port2.postMessage(null);
        scroller.scrollTop += step;
      }
      return { work, intervals };
    },
    [perFrame, frames],
  );
}

for (const [name, step] of [
  ["wheel", 120],
  ["fling", 900],
]) {
  const before = await readCpu();
  const { work, intervals } = await scroll(step, 400);
  const after = await readCpu();
  const mean = (metric) => (after[metric] - before[metric]) / work.length;
  print(`${name}_frame_work_p95_ms`, quantile(work, 0.95), {
    ...(name === "wheel" ? { budget: 16 } : {}),
    quietest_hundred: quietest(work),
    median: quantile(work, 0.5),
    worst: quantile(work, 1),
  });
  print(`${name}_frame_interval_p95_ms`, quantile(intervals, 0.95), {
    late: intervals.filter((one) => one > 25).length,
    frames: intervals.length,
  });
  print(`${name}_frame_cpu_mean_ms`, mean("TaskDuration"), {
    script: mean("ScriptDuration"),
    style: mean("RecalcStyleDuration"),
    layout: mean("LayoutDuration"),
  });
}

const jumps = await page.evaluate(async () => {
  const scroller = document.querySelector(".grid-scroll");
  const times = [];
  for (let turn = 0; turn < 60; turn++) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const startMs = performance.now();
    scroller.scrollTop = (scroller.scrollHeight * ((turn * 37) % 100)) / 100;
    await new Promise((resolve) => {
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = resolve;
        channel.port2.postMessage(null);
      });
    });
    times.push(performance.now() - startMs);
  }
  return times;
});
print("jump_p95_ms", quantile(jumps, 0.95), { median: quantile(jumps, 0.5) });
if (given.shots) await page.screenshot({ path: join(given.shots, "runs-many.png") });
await browser.close();

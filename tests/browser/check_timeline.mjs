#!/usr/bin/env node
/**
 * Uses the timeline in headless Chromium as people do: pointer, wheel, keys, table; and asks axe about it.
 *
 *     node tests/browser/check_timeline.mjs [WORDS]      prints a line for each check (that has the words); exit 1 when one fails
 *
 * The page is the bench's, under the studio's Content-Security-Policy.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPage, FLAGS, findChromium, openPage, serve } from "./bench_timeline.mjs";

const WEB_UI = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "web_ui");
const require = createRequire(join(WEB_UI, "package.json"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const SPANS = 300;
const AXIS_PX = 26;

/** Traces of a run and of its child, from what the server was recorded to give. */
function readFixtures() {
  const lines = readFileSync(join(WEB_UI, "fixtures", "traces.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const last = (runId) => {
    const { events, traces } = lines.find((line) => line.run_id === runId);
    return traces[events.length];
  };
  return { wrun_children: JSON.stringify(last("wrun_children")), wrun_bill: JSON.stringify({ ...last("wrun_locks"), run_id: "wrun_bill" }) };
}

/** What a test knows of the chart, as plain values. */
const look = (page) =>
  page.evaluate(() => {
    const chart = window.timelineChart;
    const { selected, scene } = chart;
    const { camera } = chart.eye;
    const ms = (px) => scene.scale.unfold(camera.startFolded + px * camera.foldedPerPx);
    return {
      startMs: ms(0),
      endMs: ms(camera.widthPx),
      topPx: camera.topPx,
      labelPx: chart.labelPx,
      selected: selected === null ? null : scene.idOf(selected),
      rows: scene.rowCount,
      arrangement: scene.arrangement,
      isMeasuring: chart.aim.isMeasuring,
      measured: chart.aim.measured,
    };
  });

/** Where a span's bar is, in the page. */
async function locate(page, id) {
  const box = await page.locator(".tl-chart").boundingBox();
  const at = await page.evaluate((spanId) => {
    const chart = window.timelineChart;
    const found = chart.scene.find(spanId);
    const { table, shiftMs } = found.track;
    const middleMs = (table.startMs[found.span] + table.reachMs(found.span, chart.nowMs)) / 2 + shiftMs;
    return { x: chart.xOf(middleMs), row: chart.scene.rowOf(found), rowPx: chart.rowPx, topPx: chart.eye.camera.topPx };
  }, id);
  return { x: box.x + at.x, y: box.y + AXIS_PX + (at.row + 0.5) * at.rowPx - at.topPx };
}

const settle = (page) => page.waitForFunction(() => window.timelineChart.isResting);

const CHECKS = {
  async "a click selects the call under it, and says so"(page) {
    const { x, y } = await locate(page, "5");
    await page.mouse.click(x, y);
    await page.waitForFunction(() => window.bench.selectedId() === "5");
    const said = await page.locator(".tl > .hidden-text[aria-live]").textContent();
    const name = await page.evaluate(() => window.timelineChart.scene.root.table.nameOf(window.timelineChart.selected.span));
    assert.ok(said.startsWith(name.split(":")[1]), said);
    await page.mouse.click(x, (await page.locator(".tl-chart").boundingBox()).y + AXIS_PX + 3);
  },

  async "the tip names what the pointer is on"(page) {
    const { x, y } = await locate(page, "3");
    await page.mouse.move(x, y);
    const name = await page.evaluate(() => window.timelineChart.scene.root.table.nameOf(3));
    await page.locator(".tl-tip-name", { hasText: name }).waitFor();
    const tip = await page.locator(".tl-tip").boundingBox();
    assert.ok(tip.x >= 0 && tip.x + tip.width <= 1440 && tip.y + tip.height <= 900);
    await page.mouse.move(5, 5);
    await page.locator(".tl-tip").waitFor({ state: "detached" });
  },

  async "the wheel with Ctrl zooms at the pointer"(page) {
    const box = await page.locator(".tl-chart").boundingBox();
    const x = box.x + 900;
    const under = () =>
      page.evaluate((px) => {
        const { eye: { camera }, scene, labelPx } = window.timelineChart;
        return scene.scale.unfold(camera.startFolded + (px - labelPx) * camera.foldedPerPx);
      }, 900);
    const before = await under();
    const wide = await look(page);
    await page.mouse.move(x, box.y + 200);
    await page.keyboard.down("Control");
    for (let turn = 0; turn < 4; turn++) await page.mouse.wheel(0, -60);
    await page.keyboard.up("Control");
    await settle(page);
    const after = await under();
    const near = await look(page);
    assert.ok(near.endMs - near.startMs < (wide.endMs - wide.startMs) / 3);
    assert.ok(Math.abs(after - before) < (near.endMs - near.startMs) * 1e-6, `${before} became ${after}`);
  },

  async "two fingers zoom where they are, and what lies between them stays; one finger pans"(page) {
    const box = await page.locator(".tl-chart").boundingBox();
    const session = await page.context().newCDPSession(page);
    const touch = (type, ...fingers) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: fingers.map(([x, y], id) => ({ x: box.x + x, y: box.y + y, id, radiusX: 4, radiusY: 4 })),
      });
    const under = (px) =>
      page.evaluate((at) => {
        const { eye: { camera }, scene, labelPx } = window.timelineChart;
        return scene.scale.unfold(camera.startFolded + (at - labelPx) * camera.foldedPerPx);
      }, px);
    const wide = await look(page);
    const middle = await under(800);
    await touch("touchStart", [750, 200]);
    await touch("touchStart", [750, 200], [850, 200]);
    for (let step = 1; step <= 10; step++) await touch("touchMove", [750 - step * 15, 200], [850 + step * 15, 200]);
    await touch("touchEnd");
    await settle(page);
    const near = await look(page);
    const factor = (wide.endMs - wide.startMs) / (near.endMs - near.startMs);
    assert.ok(factor > 3.5 && factor < 4.5, `four times as far apart zoomed by ${factor}`);
    assert.ok(Math.abs((await under(800)) - middle) < (near.endMs - near.startMs) * 0.02, "the middle went away");
    const grabbed = await under(800);
    await touch("touchStart", [800, 300]);
    for (let step = 1; step <= 10; step++) await touch("touchMove", [800 - step * 12, 300]);
    await touch("touchEnd");
    await settle(page);
    const now = await look(page);
    assert.ok(Math.abs((await under(680)) - grabbed) < (now.endMs - now.startMs) * 0.02, "what was grabbed slipped");
    await session.detach();
  },

  async "a drag pans, and what was grabbed stays under the pointer"(page) {
    const box = await page.locator(".tl-chart").boundingBox();
    await page.keyboard.press("f");
    await settle(page);
    await page.keyboard.press("w");
    await page.keyboard.press("w");
    await settle(page);
    const before = await look(page);
    await page.mouse.move(box.x + 800, box.y + 500);
    await page.mouse.down();
    await page.mouse.move(box.x + 700, box.y + 440, { steps: 5 });
    await page.mouse.up();
    await settle(page);
    const after = await look(page);
    const perPx = await page.evaluate(() => window.timelineChart.eye.camera.foldedPerPx);
    assert.ok(after.startMs > before.startMs);
    assert.ok(Math.abs(after.topPx - before.topPx - 60) < 1.5, `${before.topPx} → ${after.topPx}`);
    const movedFolded = await page.evaluate(
      ([from, to]) => window.timelineChart.scene.scale.fold(to) - window.timelineChart.scene.scale.fold(from),
      [before.startMs, after.startMs],
    );
    assert.ok(Math.abs(movedFolded - 100 * perPx) < perPx * 1.5);
  },

  async "keys go from call to call, zoom, pan and fit"(page) {
    await page.keyboard.press("f");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await settle(page);
    const all = await look(page);
    assert.equal(all.selected, null);
    await page.evaluate(() => window.timelineChart.pan(0, -1e9));
    for (const key of ["j", "j", "j", "k"]) await page.keyboard.press(key);
    assert.equal((await look(page)).selected, "1");
    await page.keyboard.press("F");
    await settle(page);
    const near = await look(page);
    const span = await page.evaluate(() => [window.timelineChart.scene.root.table.startMs[1], window.timelineChart.scene.root.table.endMs[1]]);
    assert.ok(near.startMs <= span[0] && near.endMs >= span[1]);
    assert.ok(near.endMs - near.startMs < 2 * (span[1] - span[0]));
    await page.keyboard.press("d");
    await settle(page);
    assert.ok((await look(page)).startMs > near.startMs);
    await page.keyboard.press("f");
    await settle(page);
    const again = await look(page);
    assert.ok(Math.abs(again.startMs - all.startMs) < 1e-6 && Math.abs(again.endMs - all.endMs) < 1e-6);
  },

  async "search counts, goes from match to match, and Esc leaves it"(page) {
    await page.keyboard.press("/");
    await page.keyboard.type("charge");
    const wanted = await page.evaluate(() => {
      const { table } = window.timelineChart.scene.root;
      return Array.from({ length: table.count }, (_, span) => span).filter((span) => table.nameOf(span).includes("charge"));
    });
    for (let turn = 0; turn < 3; turn++) await page.keyboard.press("Enter");
    await page.keyboard.press("Shift+Enter");
    await page.locator(".tl-count", { hasText: `2 / ${wanted.length}` }).waitFor();
    assert.equal((await look(page)).selected, String(wanted[1]));
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".tl-search input").inputValue(), "");
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "BODY");
    await page.keyboard.press("/");
    await page.keyboard.type("sleep");
    await page.locator(".tl-frame").focus();
    await page.keyboard.press("Escape"); // in the chart
    await page.waitForFunction(() => document.querySelector(".tl-search input").value === "");
  },

  async "Shift and drag measure, exactly where bars begin and end"(page) {
    await page.keyboard.press("f");
    await page.keyboard.press("Escape");
    await page.evaluate(() => window.timelineChart.selectId("1"));
    await page.keyboard.press("F");
    await settle(page);
    const box = await page.locator(".tl-chart").boundingBox();
    const ends = await page.evaluate(() => {
      const chart = window.timelineChart;
      const { table } = chart.scene.root;
      return { from: chart.xOf(table.startMs[1]), to: chart.xOf(table.endMs[1]), ms: table.endMs[1] - table.startMs[1], row: chart.scene.rowOf(chart.selected), topPx: chart.eye.camera.topPx };
    });
    const y = box.y + AXIS_PX + (ends.row + 0.5) * 22 - ends.topPx;
    await page.keyboard.down("Shift");
    await page.mouse.move(box.x + ends.from + 2, y);
    await page.mouse.down();
    await page.mouse.move(box.x + (ends.from + ends.to) / 2, y, { steps: 3 });
    await page.mouse.move(box.x + ends.to - 2, y, { steps: 3 });
    await page.mouse.up();
    await page.keyboard.up("Shift");
    const { measured } = await look(page);
    assert.ok(Math.abs(measured.endMs - measured.startMs - ends.ms) < 1e-6);
    await page.locator(".tl-foot", { hasText: "measured" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal((await look(page)).measured, null);
  },

  async "the minimap brushes, and a double click shows everything"(page) {
    const box = await page.locator(".tl-minimap").boundingBox();
    const { labelPx } = await look(page);
    await page.mouse.dblclick(box.x + labelPx + 300, box.y + 20);
    await settle(page);
    const all = await look(page);
    await page.mouse.move(box.x + 1439, box.y + 20);
    await page.mouse.down(); // the window's right edge
    await page.mouse.move(box.x + labelPx + 500, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await settle(page);
    const part = await look(page);
    assert.ok(part.endMs < all.endMs && Math.abs(part.startMs - all.startMs) < 1);
    // On a busy machine a place on the way there may be told first.
    await page.waitForFunction((shown) => {
      const [from, to] = (window.bench.view() ?? "").split("~").map(Number);
      return Math.abs(from - shown.startMs) < 1 && Math.abs(to - shown.endMs) < 1;
    }, part);
    await page.mouse.dblclick(box.x + labelPx + 300, box.y + 20);
    await page.waitForFunction(() => window.bench.view() === null);
  },

  async "the table says what the chart shows, and has the keys for it"(page) {
    await page.getByRole("button", { name: "Table", exact: true }).click();
    const grid = page.getByRole("grid");
    const count = await page.evaluate(() => window.timelineChart.scene.root.table.count);
    assert.equal(await grid.getAttribute("aria-rowcount"), String(count + 1));
    await page.keyboard.press("Escape");
    await grid.focus();
    await page.keyboard.press("Home");
    for (let turn = 0; turn < 2; turn++) await page.keyboard.press("ArrowDown");
    assert.equal((await look(page)).selected, "2");
    const active = await grid.getAttribute("aria-activedescendant");
    const cells = await page.locator(`#${active} [role=gridcell]`).allTextContents();
    const truth = await page.evaluate(() => {
      const { table } = window.timelineChart.scene.root;
      return [table.nameOf(2).split(":")[1], table.kindOf(2), table.statusOf(2)];
    });
    assert.deepEqual(cells.slice(0, 3).map((cell) => cell.trim()), truth);
    await page.keyboard.press("End");
    await page.locator(`#tl-row-${count - 1}`).waitFor();
    assert.equal((await look(page)).selected, await page.evaluate(() => {
      const { table } = window.timelineChart.scene.root;
      return table.idOf(table.count - 1);
    }));
  },

  async "calls of one name share lanes when asked to"(page) {
    await page.getByRole("button", { name: "Names", exact: true }).click();
    await settle(page);
    const { rows, arrangement } = await look(page);
    assert.equal(arrangement, "names");
    assert.ok(rows < SPANS);
    await page.getByRole("button", { name: "Calls", exact: true }).click();
  },
};

async function checkChild(browser, url) {
  const { page, complaints } = await openPage(browser, `${url}/timeline.html?trace=/traces/wrun_children`);
  await page.waitForFunction(() => window.timelineChart !== undefined);
  await settle(page);
  const before = (await look(page)).rows;
  await page.locator(".tl-frame").focus();
  await page.evaluate(() => window.timelineChart.selectId("3"));
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((rows) => window.timelineChart.scene.rowCount > rows, before);
  await page.keyboard.press("ArrowDown");
  assert.equal((await look(page)).selected, "wrun_bill/1");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((rows) => window.timelineChart.scene.rowCount === rows, before);
  await page.evaluate(() => window.timelineChart.selectId("1")); // whose run nobody has
  await page.keyboard.press("ArrowRight");
  await page.getByRole("alert").waitFor();
  assert.deepEqual(complaints.filter((text) => !text.includes("404")), []);
  await page.close();
}

async function checkMotion(browser, url) {
  const { page } = await openPage(browser, `${url}/timeline.html?spans=${SPANS}`, { reducedMotion: "reduce" });
  await page.waitForFunction(() => window.timelineChart !== undefined);
  await settle(page);
  const isAtOnce = await page.evaluate(() => {
    const chart = window.timelineChart;
    chart.zoom(0.5, 100, true);
    return !chart.eye.isGliding;
  });
  assert.ok(isAtOnce);
  await page.close();
}

/**
 * Have the page compare, `window.paintTwice()`: a frame that is painted on what was there, and the same painted at once.
 * Gives how they differ, and which part the first one painted.
 */
const preparePaintTwice = (page) =>
  page.evaluate(() => {
    window.paintTwice = () => {
      const chart = window.timelineChart;
      const canvas = document.querySelector(".tl-chart");
      const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      let partPx = 0;
      const { take } = chart.growth;
      chart.growth.take = (view, rows) => (partPx = take.call(chart.growth, view, rows));
      chart.frame(performance.now());
      chart.growth.take = take;
      const parts = pixels();
      chart.growth.all();
      chart.paintNow();
      const whole = pixels();
      // Edges of texts may differ by a shade, as they do between two paintings of one picture, and round corners
      // where they are cut.
      const seamPx = Math.floor((chart.labelPx + partPx) * devicePixelRatio);
      const isSeam = (pixel) => Math.abs((pixel % canvas.width) - seamPx) < 3;
      const wrong = [];
      for (let at = 0; at < whole.length; at++) {
        if (Math.abs(parts[at] - whole[at]) > 12 && !isSeam(at >> 2)) wrong.push(at >> 2);
      }
      const places = wrong.slice(0, 9).map((pixel) => `${pixel % canvas.width},${Math.floor(pixel / canvas.width)}`);
      return { partPx, differs: wrong.length === 0 ? null : `from ${partPx}: ${wrong.length} at ${places.join(" ")}` };
    };
  });

/** What is painted where a run grew, on what was there, is what is painted at once, on any screen. */
async function checkGrowth(browser, url, deviceScaleFactor) {
  const { page, complaints } = await openPage(browser, `${url}/timeline.html`, { deviceScaleFactor });
  await preparePaintTwice(page);
  const found = { parts: 0, wholes: 0 };
  for (const [arrangement, seed] of [["calls", 1], ["names", 2], ["names", 3]]) {
    await page.evaluate(([seed]) => {
      window.grow = window.bench.growLog(4000, seed);
    }, [seed]);
    await page.waitForFunction(() => window.timelineChart?.scene.rowCount > 0);
    const one = await page.evaluate(async ([arrangement]) => {
      const chart = window.timelineChart;
      chart.arrange(arrangement);
      const said = { parts: 0, wholes: 0, differs: [] };
      for (let turn = 0, isMore = true; isMore && turn < 50; turn++) {
        isMore = window.grow(1 + ((turn * 7) % 12));
        if (turn === 25) chart.select({ track: chart.scene.root, span: chart.scene.root.table.count - 1 }, false);
        const { partPx, differs } = window.paintTwice();
        said[partPx > 0 ? "parts" : "wholes"]++;
        if (differs !== null) said.differs.push(`turn ${turn}, ${differs}`);
      }
      return said;
    }, [arrangement]);
    assert.deepEqual(one.differs, [], `${arrangement}, seed ${seed}`);
    found.parts += one.parts;
    found.wholes += one.wholes;
    await page.evaluate(() => window.timelineChart.dispose());
  }
  assert.ok(found.parts > 20, `only ${found.parts} of ${found.parts + found.wholes} pictures were painted in parts`);
  assert.deepEqual(complaints.filter((text) => !text.includes("willReadFrequently")), []);
  await page.close();
}

/** A run whose last seconds are as wide as the chart: what is a moment late is far from where "now" is painted. */
async function checkLateNews(browser, url) {
  const { page } = await openPage(browser, `${url}/timeline.html`);
  await preparePaintTwice(page);
  await page.evaluate(() => {
    window.grow = window.bench.growLog(600, 1);
  });
  await page.waitForFunction(() => window.timelineChart?.scene.rowCount > 0);
  const said = await page.evaluate(() => {
    const chart = window.timelineChart;
    const live = chart.shown.root;
    const { table } = chart.scene.root;
    const instant = (ms) => new Date((table.createdUs / 1000) + ms).toISOString().replace("Z", "000Z");
    const news = (type, ms, more = {}) =>
      live.add([{ seq: live.seq + 1, type, at: instant(ms), correlation_id: null, name: null, attempt: 1, meta: {}, payload: null, payload_bytes: 0, is_locked: true, ...more }]);
    chart.arrange("names");
    chart.foldGaps(false);
    const call = 1e6;
    let nowMs = Math.ceil(chart.nowMs) + 400;
    chart.nowUs = () => table.createdUs + nowMs * 1000;
    news("step_created", nowMs - 390, { correlation_id: call, name: "shop.site:slow" });
    chart.frame(performance.now());
    chart.move({ ...chart.eye.camera, startFolded: chart.scene.scale.fold(nowMs) - 500, foldedPerPx: 0.5 });
    chart.follow("off");
    window.paintTwice();
    const done = {};
    const step = (name, act) => {
      act();
      done[name] = window.paintTwice();
    };
    step("a moment", () => (nowMs += 3));
    step("a mark that came late", () => news("attributes_set", nowMs - 250, { correlation_id: call + 1, meta: { set: { a: "b" } } }));
    step("a clock that was put back", () => (nowMs -= 130));
    step("and goes on", () => (nowMs += 2));
    step("the end of the run", () => news("run_failed", nowMs - 20, { meta: { error_type: "Boom" } }));
    step("a result after the end", () => news("step_completed", nowMs + 30, { correlation_id: call }));
    return done;
  });
  assert.deepEqual(Object.fromEntries(Object.entries(said).map(([name, { differs }]) => [name, differs])), Object.fromEntries(Object.keys(said).map((name) => [name, null])));
  assert.ok(said["a moment"].partPx > 300, JSON.stringify(said)); // or the rest shows nothing
  await page.close();
}

/** However many gaps and lines a run has, a picture is made of no more strokes than there is room for. */
async function checkCrowds(browser, url) {
  const { page } = await openPage(browser, `${url}/timeline.html`);
  await page.evaluate(() => {
    const trace = JSON.parse(window.bench.makeText(1, true));
    const [run] = trace.spans;
    const spans = [run];
    let [ms, seq] = [5, 2];
    for (let turn = 0; turn < 3000; turn++) {
      for (const [kind, tookMs] of [["step", 120], ["sleep", 3_600_000]]) {
        const id = spans.length;
        const outcome = kind === "step" ? "completed" : null;
        const segment = { kind: kind === "step" ? "running" : "waiting", start_ms: ms, end_ms: ms + tookMs, attempt: null, outcome };
        spans.push({ ...run, id: String(id), correlation_id: id, kind, name: kind, status: "completed", parent_id: "run", seq: seq++, end_seq: seq++, start_ms: ms, end_ms: ms + tookMs, segments: [segment] });
        if (kind === "step") for (let line = 0; line < 10; line++) trace.markers.push({ kind: "log", span_id: String(id), at: run.at, at_ms: ms + line * 12, seq: null, data: {} });
        ms += tookMs + 1;
      }
    }
    spans[0] = { ...run, end_ms: ms, segments: [{ ...run.segments[0], kind: "running", end_ms: ms }], end_seq: seq };
    window.bench.show({ ...trace, spans, seq, end_ms: ms }, false);
  });
  await page.waitForFunction(() => window.timelineChart?.scene.rowCount > 0);
  await settle(page);
  const drawn = await page.evaluate(() => {
    const chart = window.timelineChart;
    const counts = { gaps: chart.scene.scale.gaps.length, markers: chart.scene.root.table.markers.length };
    const proto = CanvasRenderingContext2D.prototype;
    for (const arrangement of ["calls", "names"]) {
      chart.arrange(arrangement);
      chart.fit();
      let count = 0;
      const kept = ["stroke", "fill", "fillRect", "strokeRect", "fillText"].map((name) => [name, proto[name]]);
      for (const [name, own] of kept) {
        proto[name] = function (...given) {
          count++;
          return own.apply(this, given);
        };
      }
      chart.frame(performance.now());
      for (const [name, own] of kept) proto[name] = own;
      counts[arrangement] = count;
    }
    return counts;
  });
  assert.ok(drawn.gaps === 3000 && drawn.markers === 30000, JSON.stringify(drawn));
  assert.ok(drawn.calls < 1500 && drawn.names < 1500, JSON.stringify(drawn));
  await page.close();
}

/** What changes around a chart: its size, its screen, what lies under a pointer that rests. */
async function checkSurroundings(browser, url) {
  const { page } = await openPage(browser, `${url}/timeline.html`);
  await page.evaluate((spans) => {
    // Headless Chromium takes another ratio and tells nobody: so its telling is played.
    const asked = window.matchMedia.bind(window);
    window.ratioQueries = [];
    window.matchMedia = (text) => {
      const query = asked(text);
      if (text.startsWith("(resolution:")) window.ratioQueries.push([text, query]);
      return query;
    };
    window.bench.show(JSON.parse(window.bench.makeText(spans)), false);
  }, SPANS);
  await page.waitForFunction(() => window.timelineChart !== undefined);
  await page.evaluate(() => window.timelineChart.arrange("calls"));
  await settle(page);
  const { x, y } = await locate(page, "3");
  await page.mouse.move(x, y);
  const nameOf = (span) => page.evaluate((at) => window.timelineChart.scene.root.table.nameOf(at), span);
  await page.locator(".tl-tip-name", { hasText: await nameOf(3) }).waitFor();
  const under = () => page.evaluate(() => window.timelineChart.aim.hoveredRow);
  assert.equal(await under(), 3);
  await page.mouse.wheel(0, 44);
  await page.waitForFunction(() => window.timelineChart.aim.hoveredRow === 5);

  // Who selects a call has the details open while the chart glides there.
  await page.evaluate(async () => {
    const chart = window.timelineChart;
    chart.select({ track: chart.scene.root, span: 250 });
    document.querySelector(".tl-frame").style.maxWidth = "900px";
  });
  await page.waitForFunction(() => !window.timelineChart.eye.isGliding);
  await settle(page);
  const seen = await page.evaluate(() => {
    const { eye: { camera }, scene, selected, rowPx } = window.timelineChart;
    const topPx = scene.rowOf(selected) * rowPx - camera.topPx;
    return { topPx, heightPx: camera.heightPx, widthPx: camera.widthPx };
  });
  assert.ok(seen.topPx >= 0 && seen.topPx + 22 <= seen.heightPx && seen.widthPx < 700, JSON.stringify(seen));

  for (const [width, labelPx] of [[300, 180], [1000, 260]]) {
    await page.evaluate((wide) => {
      document.querySelector(".tl-frame").style.maxWidth = `${wide}px`;
    }, width);
    await page.waitForFunction((wanted) => window.timelineChart.labelPx === wanted, labelPx);
  }

  for (const [was, ratio] of [[1, 2], [2, 1.5]]) {
    const widths = await page.evaluate(([before, after]) => {
      Object.defineProperty(window, "devicePixelRatio", { value: after, configurable: true });
      const [text, query] = window.ratioQueries.at(-1);
      if (text !== `(resolution: ${before}dppx)`) return text;
      query.dispatchEvent(new Event("change"));
      return [...document.querySelectorAll(".tl-frame canvas")].map((canvas) => canvas.width);
    }, [was, ratio]);
    assert.deepEqual(widths, [1000 * ratio, 1000 * ratio]);
  }
  await page.close();
}

/** Ratios of WCAG: texts 4.5, shapes 3, on each ground that they are drawn on. */
async function checkContrast(page, scheme) {
  const pairs = await page.evaluate(() => {
    const { theme } = window.timelineChart;
    const texts = ["ink", "muted", "failed"].flatMap((name) => [["ground", name], ["panel", name]]);
    const shapes = ["work", "failed", "retry", "waiting", "held", "queued", "off", "accent"].map((name) => ["ground", name]);
    const on = document.createElement("canvas").getContext("2d");
    const read = (name) => {
      on.fillStyle = theme[name];
      on.fillRect(0, 0, 1, 1);
      return [...on.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const all = [...texts.map((pair) => [...pair, 4.5]), ...shapes.map((pair) => [...pair, 3]), ["work", "onBar", 4.5], ["failed", "onBar", 4.5], ["accent", "onBar", 4.5]];
    return all.map(([ground, name, least]) => ({ ground, name, least, colours: [read(ground), read(name)] }));
  });
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  for (const { ground, name, least, colours } of pairs) {
    const [low, high] = colours.map(light).sort((left, right) => left - right);
    const ratio = (high + 0.05) / (low + 0.05);
    assert.ok(ratio >= least, `${scheme}: ${name} on ${ground} is ${ratio.toFixed(2)}, needs ${least}`);
  }
}

async function checkAxe(page, scheme) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document.querySelector(".tl")));
  const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  assert.deepEqual(said, [], scheme);
}

async function main() {
  const only = process.argv[2] ?? "";
  const directory = mkdtempSync(join(tmpdir(), "wf-timeline-"));
  buildPage(directory);
  const server = await serve(directory, { traces: readFixtures() });
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS });
  let failed = 0;
  const check = async (name, run) => {
    if (!name.includes(only)) return;
    try {
      await run();
      console.log(`ok    ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}\n      ${String(error.message ?? error).split("\n").slice(0, 12).join("\n      ")}`);
    }
  };
  try {
    const { page, complaints } = await openPage(browser, `${server.url}/timeline.html?spans=${SPANS}`);
    await page.waitForFunction(() => window.timelineChart !== undefined);
    await page.evaluate(() => window.timelineChart.arrange("calls"));
    await settle(page);
    for (const [name, run] of Object.entries(CHECKS)) await check(name, () => run(page));
    await check("nothing broke the Content-Security-Policy, or was logged", () => assert.deepEqual(complaints, []));
    await page.close();
    await check("a child run opens below its call, by keys alone", () => checkChild(browser, server.url));
    await check("who prefers less motion gets none", () => checkMotion(browser, server.url));
    for (const ratio of [1, 1.5, 2]) {
      await check(`what grew is painted as the whole would be, at ${ratio} pixels a pixel`, () => checkGrowth(browser, server.url, ratio));
    }
    await check("news that come late, and a clock that is put back, leave nothing of an old picture", () => checkLateNews(browser, server.url));
    await check("thousands of gaps and of lines cost what there is room for", () => checkCrowds(browser, server.url));
    await check("a chart keeps up with its frame, its screen and a pointer that rests", () => checkSurroundings(browser, server.url));
    for (const colorScheme of ["light", "dark"]) {
      const { page } = await openPage(browser, `${server.url}/timeline.html?spans=${SPANS}`, { colorScheme, bypassCSP: true });
      await page.waitForFunction(() => window.timelineChart !== undefined);
      await page.getByRole("button", { name: "Table", exact: true }).click();
      await settle(page);
      await check(`colours have the contrast of WCAG AA, ${colorScheme}`, () => checkContrast(page, colorScheme));
      await check(`axe finds nothing, ${colorScheme}`, () => checkAxe(page, colorScheme));
      await page.close();
    }
  } finally {
    await browser.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();

// A person's way through the studio, in a real browser, against a real `wf dev`.
//
//   node e2e/studio.mjs '{"chromium": …, "url": …, "launchUrl": …, "project": …, "pid": …, "shots": …}'
//
// Prints one JSON line for each claim: {"claim", "ok", "detail"}. The test that starts this reads them.

import { spawn } from "node:child_process";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { lookForBarriers, openBrowser, refused } from "./browser.mjs";

const given = JSON.parse(process.argv[2]);
const PATIENCE_MS = given.patienceMs ?? 20_000;
const { browser, context, page, faults, watch } = await openBrowser(given.chromium, given.url);
page.setDefaultTimeout(PATIENCE_MS);
const barriers = [];
const policy = [];

function say(claim, ok, detail = "") {
  process.stdout.write(`${JSON.stringify({ claim, ok, detail: String(detail).slice(0, 4000) })}\n`);
}

async function claim(text, act) {
  const began = Date.now();
  try {
    const detail = await act();
    say(text, true, detail ?? `${Date.now() - began} ms`);
  } catch (error) {
    say(text, false, error.stack ?? error);
    await page
      .screenshot({ path: join(given.shots, `failed-${text.replace(/\W+/g, "-").slice(0, 60)}.png`) })
      .catch(() => {});
  }
}

function expect(condition, text) {
  if (!condition) throw new Error(text);
}

/** Look at what is shown now: in both themes, and for barriers. */
async function shoot(name) {
  for (const theme of ["light", "dark"]) {
    await page.evaluate((one) => {
      document.documentElement.dataset.theme = one;
    }, theme);
    await page.waitForTimeout(60);
    await page.screenshot({ path: join(given.shots, `${name}-${theme}.png`) });
    // What is no colour is the same in both.
    for (const barrier of await lookForBarriers(page, theme === "dark" ? ["color-contrast"] : null))
      barriers.push(`${name} ${theme}: ${barrier}`);
  }
  await page.evaluate(() => {
    delete document.documentElement.dataset.theme;
  });
  policy.push(...(await refused(page)).map((one) => `${name}: ${one}`));
}

/** Ask the server as the page does. */
async function ask(method, path, body) {
  return page.evaluate(
    async ([how, where, what, patienceMs]) => {
      const headers = { "content-type": "application/json", "x-wf": "1" };
      const asked = how === "GET" ? {} : { method: how, headers, body: JSON.stringify(what ?? {}) };
      const answer = await fetch(where, { ...asked, signal: AbortSignal.timeout(patienceMs) });
      if (!answer.ok) throw new Error(`${how} ${where}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    [method, path, body, PATIENCE_MS],
  );
}

async function startRun(workflow, kwargs) {
  return (await ask("POST", "/api/runs", { workflow, kwargs })).id;
}

async function waitForRun(id, fits) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const run = await ask("GET", `/api/runs/${id}`);
    if (fits(run)) return run;
    expect(Date.now() < deadline, `waited in vain for run ${id}: ${JSON.stringify(run).slice(0, 500)}`);
    await page.waitForTimeout(50);
  }
}

/** Save whole: a file that is written in two goes is loaded empty first. */
async function edit(change) {
  const path = join(given.project, "flow.py");
  const draft = join(given.project, ".flow.py.draft");
  const text = await readFile(path, "utf8");
  const edited = change(text);
  expect(edited !== text, "the edit changes nothing");
  await writeFile(draft, edited);
  await rename(draft, path);
}

let runUrl = "";
let divergingId = "";

await claim("without a session the studio says how to get one", async () => {
  for (const path of ["/run/mistyped", "/runs"]) {
    await page.goto(`${given.url}${path}`);
    await page.getByRole("heading", { name: "This browser has no session" }).waitFor();
  }
  await shoot("sign-in");
});

await claim("the launch link opens the studio and leaves no code in the URL", async () => {
  const began = Date.now();
  await page.goto(given.launchUrl);
  await page.getByText("Nothing has run yet").waitFor();
  const took = Date.now() - began;
  expect(!page.url().includes("code="), `the URL is ${page.url()}`);
  expect((await page.title()).startsWith("[dev] "), `the title is ${await page.title()}`);
  await page.getByText("live", { exact: true }).waitFor();
  await shoot("runs-empty");
  return `${took} ms`;
});

await claim("a run is started from a form, whose problems are shown at their fields", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("w");
  await page.getByRole("link", { name: "build_site", exact: false }).first().click();
  await page.getByRole("heading", { name: /build_site$/ }).waitFor();
  await page.getByRole("textbox", { name: "user_id" }).fill("ada");
  await shoot("workflows");
  await page.getByRole("button", { name: "Start build_site" }).click();
  await page.waitForURL(/\/runs\/wrun_/);
  runUrl = page.url();
});

await claim("the run is seen live, up to what it waits for", async () => {
  await page.getByText("waiting for hook site:ada").first().waitFor();
  await page.locator("canvas").first().waitFor();
  await page.waitForTimeout(400);
  await shoot("run-timeline");
});

await claim("every tab of the run shows what it did", async () => {
  await page.getByRole("tab", { name: "Events" }).click();
  await page.getByRole("button", { name: "run_created" }).click();
  await page.locator(".events-open").getByText("user_id").last().waitFor();
  await shoot("run-events");
  for (const key of ["j", "j", "j", "Enter"]) await page.keyboard.press(key);
  await page.locator(".events-open").nth(1).waitFor();
  await page.getByRole("tab", { name: "Steps" }).click();
  await page.getByRole("button", { name: "render_page" }).nth(1).click();
  await page.getByRole("heading", { name: "Attempts" }).waitFor();
  await shoot("run-steps-inspector");
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Graph" }).click();
  await page.getByRole("button", { name: /render_page ×4/ }).waitFor();
  await shoot("run-graph");
  await page.getByRole("tab", { name: "Logs" }).click();
  await page.getByText("rendered index.html").first().waitFor();
  await shoot("run-logs");
  await page.getByRole("tab", { name: "Streams" }).click();
  await page.getByText("waiting for approval, up to 7 days").first().waitFor();
  await shoot("run-streams");
});

await claim("a step is replayed beside its run, with its own input and with another", async () => {
  await page.getByRole("tab", { name: "Steps" }).click();
  await page.getByRole("button", { name: "flow:plan_site" }).click();
  await page.getByRole("button", { name: "Replay step …" }).click();
  const dialog = page.getByRole("dialog", { name: "replay the step" });
  await dialog.getByRole("button", { name: "Replay step", exact: true }).click();
  await dialog.getByText("the same as recorded").waitFor();
  const input = dialog.getByRole("textbox");
  await input.fill((await input.inputValue()).replace('"Ada Lovelace"', '"Grace"'));
  await dialog.getByRole("button", { name: "Replay step", exact: true }).click();
  await dialog.getByText("it differs from what was recorded").waitFor();
  await dialog.getByRole("cell", { name: '"Grace"', exact: true }).waitFor();
  await shoot("replay-step");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "As pytest …" }).click();
  await page.locator(".test-text").getByText("def test_").first().waitFor();
  await page.getByRole("button", { name: "copy the test" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.includes("def test_") && copied.includes("import"), `what was copied is ${copied.slice(0, 200)}`);
  await shoot("test");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Fork from here …" }).click();
  await page.getByRole("button", { name: "another output" }).click();
  await page.getByText("wf fork wrun_").first().waitFor();
  await shoot("fork");
  await page.keyboard.press("Escape");
});

await claim("a run is forked with an edited output, and compared with where it comes from", async () => {
  const from = await startRun("share", { sum: 30, people: 3 });
  await waitForRun(from, (run) => run.status === "completed");
  await page.goto(`${given.url}/runs/${from}?tab=steps&span=2`);
  await page.getByRole("button", { name: "Fork from here …" }).click();
  await page.getByRole("button", { name: "another output" }).click();
  const dialog = page.getByRole("dialog", { name: "fork the run" });
  await dialog.getByRole("textbox").fill("99.5");
  await dialog.getByRole("button", { name: "Fork", exact: true }).click();
  await page.waitForFunction((id) => !location.pathname.endsWith(id), from);
  await page.locator(".run-title").getByText("completed").waitFor();
  await page.getByText("other output of").waitFor();
  const fork = page.url().split("/").at(-1).split("?")[0];
  await page.goto(`${given.url}/studio/compare?one=${from}&other=${fork}`);
  await page.getByText(/First difference/).waitFor();
  await page.getByRole("cell", { name: "99.5" }).first().waitFor();
  await shoot("compare-fork");
  await page.goto(runUrl);
});

await claim("time travel shows where the body stands, and what its variables are", async () => {
  await page.getByRole("tab", { name: "Code" }).click();
  await page.locator(".source-line.is-here").first().waitFor();
  await page.locator(".locals").getByText("user_id").first().waitFor();
  const before = await page.locator(".travel-place").textContent();
  await page.keyboard.press(",");
  await page.waitForFunction((text) => document.querySelector(".travel-place")?.textContent !== text, before);
  await page.waitForFunction(() => !document.querySelector(".moment.is-loading"));
  await shoot("run-code");
});

await claim("the hook is approved from a form, and the run completes while it is looked at", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.getByRole("heading", { name: "site:ada" }).waitFor();
  await page.getByRole("button", { name: "true", exact: true }).click();
  await shoot("hooks");
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.getByText("Nothing waits for you").waitFor();
  await shoot("hooks-empty");
  await page.goto(runUrl);
  await page.locator(".run-title").getByText("completed").waitFor();
  await page.locator(".run-payloads summary").click();
  await page.getByText("links_checked").first().waitFor();
  await shoot("run-completed");
});

await claim("a failed run shows its error, the user's frame first", async () => {
  await page.goto(`${given.url}/studio/workflows?workflow=flow%3Abuild_site`);
  await page.getByRole("textbox", { name: "user_id" }).fill("nobody <img src=x onerror=alert(1)>");
  await page.getByRole("textbox", { name: "user_id" }).press("Control+Enter");
  await page.waitForURL(/\/runs\/wrun_/);
  await page.locator(".run-title").getByText("failed").waitFor();
  await page.getByText("there is no profile").first().waitFor();
  expect((await page.locator("img").count()) === 0, "a payload became markup");
  await shoot("run-failed");
});

await claim(
  "from the browser alone it is found out why a run failed, the code is mended, and the run goes on",
  async () => {
    await page.goto(`${given.url}/studio/workflows?workflow=flow%3Ashare`);
    await page.getByRole("textbox", { name: "sum" }).fill("12");
    await page.getByRole("button", { name: "Start share" }).click();
    await page.waitForURL(/\/runs\/wrun_/);
    const failed = page.url();
    await page.locator(".run-title").getByText("failed").waitFor();
    await page
      .getByRole("button", { name: /flow\.py", line \d+/ })
      .last()
      .waitFor();
    await page.getByRole("tab", { name: "Steps" }).click();
    await page.getByRole("button", { name: "flow:divide" }).click();
    await page.getByRole("heading", { name: "Attempts" }).waitFor();
    const place = page.locator(".inspector section[aria-label=error] .place").last();
    const line = /line (\d+)/.exec(await place.textContent())[1];
    await place.click();
    await page.getByText(/is open in editor/).waitFor();
    const opened = (await readFile(given.opened, "utf8")).trim();
    expect(opened === `${join(given.project, "flow.py")}:${line}`, `what was opened is ${opened}`);
    await shoot("newcomer-why");
    await edit((text) => text.replace("return sum / parts", "return sum / max(parts, 1)"));
    await page.getByText(/workflows loaded in/).waitFor();
    await page.getByRole("button", { name: "Retry", exact: true }).dblclick();
    await page.waitForFunction((url) => location.href.split("?")[0] !== url, failed.split("?")[0]);
    await page.locator(".run-title").getByText("completed").waitFor();
    const id = failed.split("/").at(-1).split("?")[0];
    const retries = (await ask("GET", "/api/runs")).items.filter((one) => one.forked_from === id);
    expect(retries.length === 1, `a double click retried it ${retries.length} times`);
    await page.locator(".family summary").click();
    await page.getByRole("list", { name: "family of runs" }).getByText("forked as").waitFor();
    await shoot("newcomer-mended");
    await page.locator(".family summary").click();
  },
);

await claim("a child is shown within its parent's timeline, and its calls are inspected there", async () => {
  const parent = await startRun("demo", { user_id: "grace" });
  await page.goto(`${given.url}/runs/${parent}`);
  await page.locator(".tl-frame").focus();
  for (let step = 0; step < 2; step++) await page.keyboard.press("j");
  await waitForRun(parent, (run) => run.status === "completed");
  await page.waitForFunction(() => document.querySelector(".run-title")?.textContent.includes("completed"));
  const child = (await ask("GET", `/api/runs/${parent}/trace`)).spans.find((one) => one.kind === "child");
  await page.goto(`${given.url}/runs/${parent}?span=${child.id}`);
  await page.locator(".tl-frame").focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => /calls/.test(document.querySelector(".tl-frame")?.getAttribute("aria-label") ?? ""));
  await page.goto(`${given.url}/runs/${parent}?span=${encodeURIComponent(`${child.child_run_id}/1`)}`);
  await page.locator(".inspector").getByText("of the child run").waitFor();
  await page
    .locator(".inspector")
    .getByText("Ada Lovelace")
    .or(page.locator(".inspector").getByText("grace").first())
    .first()
    .waitFor();
  await page
    .locator(".family summary")
    .getByText(/1 child/)
    .waitFor();
  await shoot("run-nested");
  await page.keyboard.press("Control+K");
  await page.getByRole("combobox", { name: /find a screen/ }).fill("fork this");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Fork this run" }).waitFor();
  await page.keyboard.press("Escape");
});

await claim("a run is followed live: its stream, its lines and its timeline grow while it goes on", async () => {
  const id = await startRun("talk", {});
  await page.goto(`${given.url}/runs/${id}?tab=streams`);
  const last = page.locator(".log-line .log-text").last();
  await last.waitFor();
  const first = await last.textContent();
  await page.waitForFunction(
    (text) => [...document.querySelectorAll(".log-line .log-text")].at(-1)?.textContent !== text,
    first,
  );
  await page.getByRole("tab", { name: "Logs" }).click();
  await page
    .getByText(/^said \d+/)
    .first()
    .waitFor();
  await page.getByRole("tab", { name: "Timeline" }).click();
  await page.getByText(/\d+ spans/).waitFor();
  const spans = async () => Number(/([\d,]+) spans/.exec(await page.locator(".tl-foot").textContent())[1]);
  const before = await spans();
  await page.waitForFunction(
    (count) => Number(/([\d,]+) spans/.exec(document.querySelector(".tl-foot").textContent)[1]) > count,
    before,
  );
  await shoot("run-following");
  await ask("POST", "/api/hooks/enough/resume", { payload: null });
  const { output: words } = await waitForRun(id, (run) => run.status === "completed");
  await page.locator(".run-title").getByText("completed").waitFor();
  // The run itself, its hook, and a call for each word.
  await page.waitForFunction(
    (count) => Number(/([\d,]+) spans/.exec(document.querySelector(".tl-foot").textContent)[1]) === count,
    words + 2,
  );
});

await claim("more child runs are followed at once than a browser has connections", async () => {
  const id = await startRun("crowd", {});
  const children = async () => (await ask("GET", `/api/runs/${id}/trace`)).spans.filter((one) => one.kind === "child");
  while ((await children()).length < 6) await page.waitForTimeout(50);
  const last = (await children()).at(-1).id;
  await page.goto(`${given.url}/runs/${id}?span=${last}`);
  await page.locator(".tl-frame").focus();
  for (let child = 0; child < 6; child++) {
    const spans = await countSpans();
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(
      (count) => Number(/([\d,]+) spans/.exec(document.querySelector(".tl-foot").textContent)[1]) > count,
      spans,
    );
    await page.keyboard.press("ArrowUp");
  }
  // The children go on until they are told: a question that had no connection would wait as long.
  const { status } = await ask("GET", `/api/runs/${id}`);
  expect(status === "running", `it was ${status} before it could be followed`);
  for (let child = 0; child < 6; child++) {
    const token = `enough:${child}`;
    while (!(await ask("GET", "/api/hooks")).items.some((one) => one.token === token)) await page.waitForTimeout(50);
    await ask("POST", `/api/hooks/${encodeURIComponent(token)}/resume`, { payload: null });
  }
  await waitForRun(id, (run) => run.status === "completed");
  await page.locator(".run-title").getByText("completed").waitFor();
  // Six children of a run and sixty calls each, and what the parent has besides.
  await page.waitForFunction(
    () => Number(/([\d,]+) spans/.exec(document.querySelector(".tl-foot").textContent)[1]) >= 1 + 6 + 6 * 61,
  );
});

async function countSpans() {
  await page.getByText(/\d+ spans/).waitFor();
  return Number(/([\d,]+) spans/.exec(await page.locator(".tl-foot").textContent())[1]);
}

await claim("what means harm is text everywhere, and freezes nothing", async () => {
  const id = await startRun("hostile", {});
  await waitForRun(id, (run) => run.status === "completed" || run.status === "failed");
  const quick = async (what, act) => {
    const began = Date.now();
    await act();
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
    expect(Date.now() - began < 8000, `${what} took ${Date.now() - began} ms`);
  };
  await page.goto(`${given.url}/runs/${id}`);
  await page.locator(".run-title").getByText("completed").waitFor();
  await page.getByRole("tab", { name: "Steps" }).click();
  await page.getByRole("button", { name: "flow:make_hostile" }).first().waitFor();
  const output = page.locator(".inspector section[aria-label=output]");
  for (const call of [1, 2, 3, 4, 5, 6, 7]) {
    await quick(`call ${call}`, async () => {
      await page.keyboard.press("j");
      await page.locator(".inspector").getByText(`step, call ${call}`, { exact: true }).waitFor();
      await output.getByRole("button", { name: "raw" }).click();
    });
    if (call === 4) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        output.getByRole("link", { name: "Download it whole" }).click(),
      ]);
      const { size } = await stat(await download.path());
      expect(size > 48_000_000, `${size} bytes were downloaded`);
    }
    if (call === 5) {
      await quick("a list of 100 000", () => output.getByRole("button", { name: "tree" }).click());
      await shoot("hostile-list");
    }
    await page.locator(".tab-table .grid-scroll").focus();
  }
  for (const tab of ["Events", "Logs", "Graph", "Timeline", "Code"]) {
    await quick(tab, async () => {
      await page.getByRole("tab", { name: tab }).click();
      await page.waitForTimeout(150);
    });
    if (tab === "Logs") await shoot("hostile-logs");
  }
  await page.goto(`${given.url}/runs`);
  await page.locator(".grid-row").getByText("evil=").first().waitFor();
  expect((await page.locator("img, main script, main style, main b").count()) === 0, "a payload became markup");
  expect(!(await page.title()).includes("red"), "an escape sequence became a title");
});

await claim("the list of runs is filtered, moved through and opened by keyboard alone", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await page.locator(".grid-row").nth(2).waitFor();
  await shoot("runs");
  await page.keyboard.press("/");
  await page.keyboard.type("status:fa");
  await page.getByRole("option", { name: /status:failed/ }).waitFor();
  await shoot("runs-completion");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.waitForURL(/q=status/);
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll(".grid-space .grid-row")];
    return rows.length > 0 && rows.every((row) => row.textContent.includes("failed"));
  });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/runs\/wrun_/);
  await page.goBack();
  await page.waitForURL(/q=status/);
});

await claim("selected runs are acted on at once, after it was said to how many", async () => {
  await page.goto(`${given.url}/runs`);
  await page.locator(".grid-space .grid-row").nth(1).waitFor();
  await page.getByRole("checkbox", { name: "select all runs that are loaded" }).check();
  await page.getByRole("button", { name: "Retry …" }).click();
  await page.getByRole("heading", { name: /Retry \d+ runs\?/ }).waitFor();
  await page.getByText(/of those that are selected are left out/).waitFor();
  await shoot("bulk");
  const before = await page.locator(".grid-space .grid-row").count();
  await page.getByRole("button", { name: /^Retry \d+$/ }).click();
  await page.getByText(/runs were tried again/).waitFor();
  await page.waitForFunction((count) => document.querySelectorAll(".grid-space .grid-row").length > count, before);
});

await claim("runs are marked and compared", async () => {
  await page.goto(`${given.url}/runs`);
  await page.locator(".grid-space .grid-row").first().waitFor();
  for (const key of ["j", "x", "j", "j", "x"]) await page.keyboard.press(key);
  await page.getByRole("link", { name: "Compare them" }).click();
  await page.getByText(/First difference/).waitFor();
  await shoot("compare");
});

await claim("a query is answered as a grid and as a chart", async () => {
  await page.keyboard.press("g");
  await page.keyboard.press("q");
  await page.locator(".editor").waitFor();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("table", { name: "result" }).getByText("flow:build_site").first().waitFor();
  await shoot("query");
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Parquet", exact: true }).click(),
  ]);
  const file = await readFile(await download.path(), "latin1");
  expect(file.startsWith("PAR1") && file.endsWith("PAR1"), `what was downloaded begins ${file.slice(0, 80)}`);
  await page.getByRole("button", { name: "chart", exact: true }).click();
  await page.locator(".chart-host canvas").waitFor();
  await shoot("query-chart");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("SELECT nope FROM runs");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alert").getByText(/nope/).first().waitFor();
  await shoot("query-error");
});

await claim("the overview counts what ran", async () => {
  await page.keyboard.press("Escape");
  await page.goto(`${given.url}/studio/overview`);
  await page.locator(".card-workflows").getByText("flow:build_site").waitFor();
  await shoot("overview");
});

await claim("the palette finds a workflow, a run and a screen", async () => {
  await page.keyboard.press("Control+K");
  await page.getByRole("combobox").fill("start demo");
  await page.getByRole("option", { name: /Start flow:demo/ }).waitFor();
  await shoot("palette");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "flow:demo" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await shoot("keys");
  await page.keyboard.press("Escape");
});

await claim("an address that is none is answered by the studio, and leads back to the runs", async () => {
  const answer = await page.goto(`${given.url}/run/mistyped`);
  expect(answer.status() === 404, `the status is ${answer.status()}`);
  await page.getByRole("heading", { name: "There is nothing at this address" }).waitFor();
  await shoot("nowhere");
  await page.getByRole("link", { name: "Go to the runs" }).click();
  await page.waitForURL(/\/runs$/);
});

/** Give what sticks out of the screen on the right, where nobody can scroll to it. */
async function findCutOff() {
  return page.evaluate(() => {
    const screen = document.querySelector(".screen");
    const wide = screen.scrollWidth > screen.clientWidth ? [`the screen is ${screen.scrollWidth} wide`] : [];
    const parts = document.querySelectorAll(
      ".screen-actions > *, .tab-bar > *, .grid-row > *, .steps-row > *, .events-row > *",
    );
    const out = [...parts].filter((part) => part.getBoundingClientRect().right > innerWidth);
    return [...wide, ...out.map((part) => `${part.className}: ${part.textContent}`)];
  });
}

await claim("on a phone and on a small laptop nothing is cut off", async () => {
  const found = [];
  const steps = "run?tab=steps&span=2";
  for (const [width, height, ...paths] of [
    [390, 800, "runs", "run?span=2", steps, "run?tab=events", "run?tab=logs", "studio/workflows"],
    [1024, 768, "runs", steps],
  ]) {
    await page.setViewportSize({ width, height });
    for (const path of paths) {
      await page.goto(path.startsWith("run?") ? `${runUrl}${path.slice(3)}` : `${given.url}/${path}`);
      await page.locator(".grid-row, .run-title, .start-form").first().waitFor();
      await page.waitForTimeout(150);
      found.push(...(await findCutOff()).map((one) => `${path} at ${width}: ${one}`));
      if (path === steps || path === "runs") await shoot(`${path.split("?")[0]}-${width}`);
    }
  }
  await page.setViewportSize({ width: 1360, height: 860 });
  expect(found.length === 0, found.join("\n"));
});

await claim("code that does not load is shown until it does, and a divergence gets its remedies", async () => {
  const names = ["kept", "forked", "restarted", "cancelled"];
  const ids = {};
  for (const name of names) ids[name] = await startRun("wait_for_word", { name });
  for (const name of names) await waitForRun(ids[name], (run) => run.reason?.startsWith("waiting for hook"));
  await page.goto(`${given.url}/studio/code`);
  await page.getByText("Every run in flight fits").waitFor();
  await edit((text) => text.replace("import wf\n", "import wf\nimport nothing_of_that_name\n"));
  await page.getByText("The code does not load").waitFor();
  await page.locator(".overlay .place").first().click();
  await page.getByText(/flow\.py:\d+ is open in editor/).waitFor();
  await shoot("overlay");
  await edit((text) =>
    text
      .replace("import nothing_of_that_name\n", "")
      .replace("    await note(name)\n", "    await wf.sleep(1)\n    await note(name)\n"),
  );
  await page.getByText("The code does not load").waitFor({ state: "detached" });
  await page.getByText("4 runs diverge").first().waitFor();
  await shoot("code");
  const row = (name) => page.locator(".verdict-table tr", { hasText: ids[name] });
  await row("kept").getByRole("button", { name: "Keep", exact: true }).click();
  await page.getByText("it is kept on its own code").waitFor();
  for (const [name, label] of [
    ["forked", "Fork"],
    ["restarted", "Restart"],
  ]) {
    await row(name).getByRole("button", { name: label, exact: true }).click();
    await page.getByRole("button", { name: `${label} it` }).click();
    await page
      .getByText(/it goes on as wrun_/)
      .last()
      .waitFor();
    await row(name).waitFor({ state: "detached" });
  }
  await row("cancelled").getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel it" }).click();
  await waitForRun(ids.cancelled, (run) => run.status === "cancelled");
  await row("cancelled").waitFor({ state: "detached" });
  const after = await Promise.all(names.map((name) => ask("GET", `/api/runs/${ids[name]}`)));
  expect(after[0].status === "running" && after[1].status === "cancelled", after.map((run) => run.status).join());
  await ask("POST", "/api/hooks/word%3Akept/resume", { payload: "yes" });
  const kept = await waitForRun(ids.kept, (run) => run.status === "completed");
  expect(kept.output === "kept: yes", `the kept run gave ${kept.output}`);
  divergingId = ids.kept;
});

await claim("a run is replayed by the code that recorded it and by today's, and they are told apart", async () => {
  await page.goto(`${given.url}/studio/compare?one=${divergingId}&code=own`);
  await page.getByRole("region", { name: "with own" }).getByText("clean").waitFor();
  await page.getByRole("combobox", { name: "and by" }).selectOption("today");
  await page.getByRole("region", { name: "with today" }).getByText("diverges").waitFor();
  await page.getByText("parts first").waitFor();
  await page.getByText(/Files that differ/).waitFor();
  await shoot("compare-code");
});

await claim("a second tab follows the first, and a copied link shows the same", async () => {
  const other = await context.newPage();
  watch(other);
  await other.goto(runUrl);
  await other.locator(".run-title").getByText("completed").waitFor();
  await other.close();
});

await claim("a fork that is made while a run's family is read is shown in it", async () => {
  const id = await startRun("share", { sum: 12, people: 3 });
  await waitForRun(id, (run) => run.status === "completed");
  const asked = new Promise((resolve) => {
    void page.route("**/api/query", resolve, { times: 1 });
  });
  await page.goto(`${given.url}/runs/${id}`);
  await page.getByText("live", { exact: true }).waitFor();
  const route = await asked;
  const before = await ask("POST", "/api/query", route.request().postDataJSON());
  const { run } = await ask("POST", `/api/runs/${id}/fork`, { from: 1 });
  await waitForRun(run.id, (one) => one.status === "completed");
  await page.waitForTimeout(300); // the page hears of it
  await route.fulfill({ json: before });
  await page
    .locator(".family summary")
    .getByText(/1 fork or retry/)
    .waitFor();
});

await claim("a server that hangs is told from one that is there, and is live again when it goes on", async () => {
  const other = await context.newPage();
  watch(other);
  await other.clock.install();
  await other.goto(`${given.url}/runs`);
  await other.getByText("live", { exact: true }).waitFor();
  process.kill(given.pid, "SIGSTOP");
  try {
    await other.clock.fastForward(3500);
    await other.clock.fastForward(7500);
    await other.getByText("Nothing was heard from the server for a while.").waitFor();
    await other.getByText("stale", { exact: true }).waitFor();
  } finally {
    process.kill(given.pid, "SIGCONT");
  }
  await other.clock.fastForward(3500);
  await other.getByText("live", { exact: true }).waitFor();
  await other.close();
});

let again = null;

await claim("a server that is killed and started again is found by itself, and nothing is missed", async () => {
  const id = await startRun("wait_for_word", { name: "restart" });
  await waitForRun(id, (run) => run.reason?.startsWith("waiting for hook"));
  await page.goto(`${given.url}/runs/${id}?tab=events`);
  await page.getByRole("button", { name: "hook_created" }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  process.kill(given.pid, "SIGKILL");
  await page.getByText("The server is gone.").first().waitFor();
  expect(await page.getByRole("button", { name: "hook_created" }).isVisible(), "the rows are gone, too");
  await shoot("gone-run");
  const options = ["dev", "flow.py", "--no-open", "--port", new URL(given.url).port, "--strict-port", "--json"];
  again = spawn(given.python, ["-m", "wfstudio", ...options], { cwd: given.project, stdio: "ignore" });
  const told = await waitForServer();
  // Before the page has found the server again: what happens now is what could be missed.
  const resumed = await post("/api/hooks/word%3Arestart/resume", { payload: "again" }, told.token);
  expect(resumed === 200, `the hook was not resumed: ${resumed}`);
  await page.getByText("live", { exact: true }).waitFor();
  await waitForRun(id, (run) => run.status === "completed");
  await page.locator(".run-title").getByText("completed").waitFor();
  await page.getByRole("button", { name: "run_completed" }).waitFor();
  const events = (await ask("GET", `/api/runs/${id}`)).events;
  const rows = Number(await page.locator(".events-grid").getAttribute("aria-rowcount")) - 1;
  expect(rows === events, `${rows} events are shown of ${events}`);
  await page.getByText("The server is gone.").waitFor({ state: "detached" });
});

const WAYS = { w: "workflows", h: "hooks", q: "query", m: "compare", c: "code", o: "overview" };

await claim("when the server is gone the studio says so on every screen, and keeps what it showed", async () => {
  await page.goto(`${given.url}/runs`);
  await page.locator(".grid-space .grid-row").first().waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  again.kill("SIGKILL");
  await page.getByText("The server is gone.").first().waitFor();
  expect((await page.locator(".grid-space .grid-row").count()) > 0, "the rows are gone, too");
  await shoot("gone");
  for (const [key, screen] of Object.entries(WAYS)) {
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForURL(new RegExp(`/studio/${screen}`));
    await page.locator(".gone-banner").waitFor();
    await page.locator(".note-gone").first().waitFor();
    await page.screenshot({ path: join(given.shots, `gone-${screen}-light.png`) });
  }
});

/** Ask as a program does, and give the status. (Node's own `fetch` says that it is a browser.) */
async function post(path, body, token) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const asked = request(`${given.url}${path}`, { method: "POST", headers }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    asked.on("error", reject);
    asked.end(JSON.stringify(body));
  });
}

/** Wait until a new server answers, and give how it is asked. */
async function waitForServer() {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const told = JSON.parse(await readFile(join(given.project, ".wf", "studio.json"), "utf8"));
      if (told.pid === again.pid && (await fetch(`${given.url}/health`)).ok) return told;
    } catch {
      // Not yet.
    }
    expect(Date.now() < deadline, "the server did not start again");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

again?.kill("SIGKILL");
say("nothing was refused by the page's policy", policy.length === 0, policy.join("\n"));
say("axe finds no barrier on any screen, light or dark", barriers.length === 0, barriers.join("\n"));
say("nothing threw, and nothing was asked of other places", faults.length === 0, faults.join("\n"));
await browser.close();

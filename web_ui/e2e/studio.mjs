// A person's way through the studio, in a real browser, against a real `wf dev`.
//
//   node e2e/studio.mjs '{"chromium": …, "url": …, "launchUrl": …, "project": …, "pid": …, "shots": …}'
//
// Prints one JSON line for each claim: {"claim", "ok", "detail"}. The test that starts this reads them.

import { readFile, writeFile } from "node:fs/promises";
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
  try {
    const detail = await act();
    say(text, true, detail ?? "");
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
    for (const barrier of await lookForBarriers(page)) barriers.push(`${name} ${theme}: ${barrier}`);
  }
  await page.evaluate(() => {
    delete document.documentElement.dataset.theme;
  });
  policy.push(...(await refused(page)).map((one) => `${name}: ${one}`));
}

let runUrl = "";

await claim("without a session the studio says how to get one", async () => {
  await page.goto(`${given.url}/runs`);
  await page.getByRole("heading", { name: "This browser has no session" }).waitFor();
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
  await page.getByRole("button", { name: "Fork from here …" }).click();
  await page.getByRole("button", { name: "another output" }).click();
  await page.getByText("wf fork wrun_").first().waitFor();
  await shoot("fork");
  await page.keyboard.press("Escape");
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
  await page.waitForFunction(() => document.querySelectorAll(".grid-space .grid-row").length === 1);
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
  await page.getByRole("heading", { name: "Retry 1 run?" }).waitFor();
  await page.getByText("1 of those that are selected is left out").waitFor();
  await shoot("bulk");
  await page.getByRole("button", { name: "Retry 1", exact: true }).click();
  await page.getByText("1 run was tried again").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".grid-space .grid-row").length === 3);
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

await claim("code that does not load is shown until it does, and a divergence gets its remedies", async () => {
  await page.goto(`${given.url}/studio/workflows?workflow=flow%3Abuild_site`);
  await page.getByRole("textbox", { name: "user_id" }).fill("ada");
  await page.getByRole("textbox", { name: "user_id" }).press("Control+Enter");
  await page.getByText("waiting for hook site:ada").first().waitFor();
  await page.goto(`${given.url}/studio/code`);
  await page.getByText("Every run in flight fits").waitFor();
  const path = join(given.project, "flow.py");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("import wf\n", "import wf\nimport nothing_of_that_name\n"));
  await page.getByText("The code does not load").waitFor();
  await shoot("overlay");
  await writeFile(
    path,
    text.replace("    pages = await plan_site(profile)", "    await wf.sleep(1)\n    pages = await plan_site(profile)"),
  );
  await page.getByText("The code does not load").waitFor({ state: "detached" });
  await page.getByText("1 run diverges").waitFor();
  await shoot("code");
  await page.getByRole("button", { name: "Fork", exact: true }).click();
  await page.getByRole("button", { name: "Fork it" }).click();
  await page.getByText(/it goes on as wrun_/).waitFor();
});

await claim("a second tab follows the first, and a copied link shows the same", async () => {
  const other = await context.newPage();
  watch(other);
  await other.goto(runUrl);
  await other.locator(".run-title").getByText("completed").waitFor();
  await other.close();
});

await claim("when the server is gone the studio says so, and keeps what it showed", async () => {
  await page.goto(`${given.url}/runs`);
  await page.locator(".grid-space .grid-row").first().waitFor();
  await page.getByText("live", { exact: true }).waitFor();
  process.kill(given.pid, "SIGKILL");
  await page.getByText("The server is gone.").waitFor();
  expect((await page.locator(".grid-space .grid-row").count()) > 0, "the rows are gone, too");
  await shoot("gone");
});

say("nothing was refused by the page's policy", policy.length === 0, policy.join("\n"));
say("axe finds no barrier on any screen, light or dark", barriers.length === 0, barriers.join("\n"));
say("nothing threw, and nothing was asked of other places", faults.length === 0, faults.join("\n"));
await browser.close();

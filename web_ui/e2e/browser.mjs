// The browser of the tests: Debian's Chromium, driven by playwright-core, which downloads nothing.

import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Open a browser whose page reports what the policy refused, what threw, and what was asked of other places. */
export async function openBrowser(executablePath, origin) {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  await context.addInitScript(() => {
    globalThis.__refused = [];
    addEventListener("securitypolicyviolation", (event) => {
      globalThis.__refused.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
  });
  const faults = [];
  const page = await context.newPage();
  watch(page);
  return { browser, context, page, faults, watch };

  function watch(one) {
    one.on("pageerror", (error) => faults.push(`threw: ${error.stack ?? error}`));
    one.on("console", (message) => {
      // A browser logs every answer that is no success by itself; what the page does with those is tested.
      if (message.type() === "error" && !/Failed to load resource|ERR_CONNECTION/.test(message.text())) {
        faults.push(`said: ${message.text()}`);
      }
    });
    one.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) faults.push(`asked ${url}`);
    });
  }
}

export async function refused(page) {
  return page.evaluate(() => globalThis.__refused);
}

/** Have axe-core look at the page as it is; gives what it found, in words. The page's policy does not bind it.
 * `rules` are those that are tried; null: all of WCAG's. */
export async function lookForBarriers(page, rules = null) {
  const session = await page.context().newCDPSession(page);
  const { readFile } = await import("node:fs/promises");
  const source = await readFile(AXE, "utf8");
  const isThere = await page.evaluate(() => typeof globalThis.axe === "object");
  if (!isThere) {
    const { result } = await session.send("Runtime.evaluate", { expression: `${source}; typeof axe` });
    if (result.value !== "object") throw new Error("axe-core did not load");
  }
  const found = await page.evaluate(async (tried) => {
    const all = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
    const results = await globalThis.axe.run(document, {
      runOnly: tried === null ? all : { type: "rule", values: tried },
      resultTypes: ["violations"],
    });
    return results.violations.map((one) => ({
      id: one.id,
      impact: one.impact,
      nodes: one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
      count: one.nodes.length,
    }));
  }, rules);
  await session.detach();
  return found.map((one) => `${one.id} (${one.impact}, ${one.count}): ${one.nodes.join(" | ").slice(0, 300)}`);
}

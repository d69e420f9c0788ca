// Small models: places, commands, keys, matching, payloads, results, histograms, line differences.

import { describe, expect, test } from "vitest";
import type { Column } from "../api_types";
import { commandOf, curlCommand, quote, startCommand } from "./commands";
import { chooseWidth, countInto, stack } from "./histogram";
import { type Binding, nameOf, Sequence } from "./keys";
import { diffLines } from "./line_diff";
import { rank } from "./matching";
import { listRows, showInline, tableColumns } from "./payloads";
import { placeOf, readPlace, runPlace } from "./places";
import { printable } from "./printable";
import { chooseChart, writeCsv, writeJson } from "./results";
import { placesOfAttention, wordsOfAttention } from "./statuses";

describe("attentions", () => {
  test("a body that was interrupted is shown with its whole stack, others with their place", () => {
    const stack = "flow.py:3 in main\nflow.py:9 in spin";
    const blocked = { code: "BLOCKED", actual: stack, where: "flow.py:9 in spin" };
    expect(placesOfAttention(blocked)).toEqual(["flow.py:3 in main", "flow.py:9 in spin"]);
    expect(placesOfAttention({ ...blocked, actual: null })).toEqual(["flow.py:9 in spin"]);
    expect(placesOfAttention({ code: "NONDETERMINISM", actual: "a sleep", where: "flow.py:3 in main" })).toEqual([
      "flow.py:3 in main",
    ]);
    expect(placesOfAttention({ code: "NOT_REGISTERED", actual: null, where: null })).toEqual([]);
    expect(wordsOfAttention("BLOCKED")).toBe("its code runs on without waiting");
    expect(wordsOfAttention("NONDETERMINISM")).toBe("its code does not fit its log");
  });
});

describe("places", () => {
  test.each(["wrun_01", "shop/42", "a b?c#d", "ünï", "%2F"])("a run's URL leads to it: %s", (id) => {
    const url = new URL(runPlace(id, { tab: "events" }), "http://x");
    expect(readPlace(url.pathname, url.search)).toMatchObject({ screen: "run", runId: id });
    expect(url.searchParams.get("tab")).toBe("events");
  });

  test("every screen has a path that the server gives, and no webhook's", () => {
    for (const screen of ["runs", "workflows", "hooks", "query", "compare", "code", "overview"] as const) {
      const path = placeOf(screen);
      expect(path).toMatch(/^\/(runs|studio\/\w+)$/);
      expect(readPlace(path, "")?.screen).toBe(screen);
    }
    expect(readPlace("/", "")?.screen).toBe("runs");
  });

  test.each(["/nope", "/studio/nope", "/studio/hooks/x", "/runs/%E0%A4%A"])("%s is nowhere", (path) => {
    expect(readPlace(path, "")).toBeNull();
  });
});

describe("commands are quoted for a shell", () => {
  test.each([
    ["plain", "plain"],
    ["key=value", "key=value"],
    ["", "''"],
    ["two words", "'two words'"],
    ["it's", "'it'\\''s'"],
    ["$(rm -rf)", "'$(rm -rf)'"],
    ["a\nb", "'a\nb'"],
  ])("%j", (word, quoted) => {
    expect(quote(word)).toBe(quoted);
  });

  test("whole ones", () => {
    expect(commandOf("cancel", "wrun_1", null, "--reason", "a duplicate")).toBe(
      "wf cancel wrun_1 --reason 'a duplicate'",
    );
    expect(startCommand("fulfil", [], { order: 17, note: "it's" }, "x")).toBe(
      `wf start fulfil order=17 'note="it'\\''s"' --id x`,
    );
    expect(startCommand("sum", [1, "a b"], { scale: 2 }, null)).toBe(`wf start sum 1 '"a b"' scale=2`);
    expect(curlCommand("http://127.0.0.1:1", "/api/x", { a: 1 })).toBe(
      `curl http://127.0.0.1:1/api/x -H "Authorization: Bearer $TOKEN" --json '{"a":1}'`,
    );
  });
});

describe("keys", () => {
  const binding = (keys: string): Binding => ({ keys, label: keys, group: "", run: () => {} });
  const bindings = ["g r", "g w", "j", "Mod-K"].map(binding);
  const press = (sequence: Sequence, key: string, at: number) => sequence.press(key, bindings, at).binding?.keys;

  test("a sequence is complete with its last key", () => {
    const sequence = new Sequence();
    expect(sequence.press("g", bindings, 0)).toEqual({ binding: null, isWaiting: true });
    expect(press(sequence, "r", 100)).toBe("g r");
    expect(press(sequence, "r", 200)).toBeUndefined();
  });

  test("one that is broken off or waits too long begins anew", () => {
    const sequence = new Sequence();
    press(sequence, "g", 0);
    expect(press(sequence, "j", 10)).toBe("j");
    press(sequence, "g", 20);
    expect(press(sequence, "w", 5000)).toBeUndefined();
  });

  test("names of keys", () => {
    const none = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };
    expect(nameOf({ ...none, key: "k", ctrlKey: true })).toBe("Mod-K");
    expect(nameOf({ ...none, key: "?", shiftKey: true })).toBe("?");
    expect(nameOf({ ...none, key: " " })).toBe("Space");
    expect(nameOf({ ...none, key: "ArrowDown", shiftKey: true })).toBe("Shift-ArrowDown");
  });
});

test("matching puts words' beginnings first, and leaves out what lacks a letter", () => {
  const items = ["Restart order", "Start flow:demo", "overview", "Theme: dark"];
  expect(rank("start", items, (one) => one).map((one) => one.item)).toEqual(["Start flow:demo", "Restart order"]);
  expect(rank("sfd", items, (one) => one).map((one) => one.item)).toEqual(["Start flow:demo"]);
  expect(rank("", items, (one) => one)).toHaveLength(4);
});

describe("payloads", () => {
  test("only what is open is there", () => {
    const value = { a: [1, 2], b: { c: "x" } };
    expect(listRows(value, () => false).map((row) => row.text)).toEqual(["{a, b}"]);
    const rows = listRows(value, (_, depth) => depth < 2);
    expect(rows.map((row) => [row.depth, row.label, row.text])).toEqual([
      [0, null, "{a, b}"],
      [1, "a", "[2]"],
      [2, "0", "1"],
      [2, "1", "2"],
      [1, "b", "{c}"],
      [2, "c", '"x"'],
    ]);
  });

  test("a long list is shown in part, and says how much is left", () => {
    const rows = listRows(
      Array.from({ length: 250 }, () => 0),
      () => true,
    );
    expect(rows).toHaveLength(102);
    expect(rows.at(-1)).toMatchObject({ kind: "more", text: "150 more" });
  });

  test("bytes, and what was too large to be sent, are told", () => {
    expect(showInline({ $bytes: "aGVsbG8=" })).toBe("5 bytes");
    expect(showInline({ $large: 52_428_800 })).toBe("50.0 MiB, not loaded");
    expect(showInline(undefined)).toBe("");
    expect(showInline("x".repeat(200))).toHaveLength(121);
  });

  test("a list of objects makes a table", () => {
    expect(tableColumns([{ a: 1 }, { a: 2, b: 3 }])).toEqual(["a", "b"]);
    expect(tableColumns([1, 2])).toBeNull();
    expect(tableColumns([])).toBeNull();
  });
});

test("what hides or turns a line around is written as its escape, and nothing else is touched", () => {
  expect(printable("\u202egpj.exe")).toBe("\\u202egpj.exe");
  expect(printable("a\u0000b\u200bc")).toBe("a\\u0000b\\u200bc");
  expect(printable("naïve\tשלום\n日本 👩‍🔬")).toBe("naïve\tשלום\n日本 👩‍🔬");
  expect(showInline("\u202ex")).toBe('"\\u202ex"');
  expect(listRows({ "\u202ex": 1 }, () => true)[1]!.label).toBe("\\u202ex");
});

describe("results", () => {
  const columns: Column[] = [
    { name: "name", type: "VARCHAR" },
    { name: "n", type: "BIGINT" },
  ];

  test("CSV keeps commas, quotes and lines, and makes no formulas", () => {
    const rows = [
      ['a "b", c', 1],
      ["=1+1", -2],
      [null, null],
      ["x\ny", 0],
    ];
    expect(writeCsv(columns, rows).split("\r\n")).toEqual(["name,n", '"a ""b"", c",1', "'=1+1,-2", ",", '"x\ny",0']);
  });

  test("JSON has a row an object", () => {
    expect(JSON.parse(writeJson(columns, [["a", 1]]))).toEqual([{ name: "a", n: 1 }]);
  });

  test("what is drawn is chosen by the types", () => {
    const column = (type: string): Column => ({ name: type, type });
    expect(chooseChart(columns)).toEqual({ x: 0, y: [1], kind: "bar" });
    expect(chooseChart([column("TIMESTAMP WITH TIME ZONE"), column("DOUBLE")])?.kind).toBe("line");
    expect(chooseChart([column("DOUBLE"), column("INTEGER")])).toEqual({ x: 0, y: [1], kind: "scatter" });
    expect(chooseChart([column("VARCHAR")])).toBeNull();
  });
});

describe("histograms", () => {
  test("bars are round and aligned, and hold every item once", () => {
    const items = [0, 999, 1000, 59_000].map((atMs) => ({ atMs, status: "completed" }));
    const bins = countInto(items, 60);
    expect(bins[0]).toMatchObject({ startMs: 0, endMs: 1000, total: 2 });
    expect(bins.reduce((sum, bin) => sum + bin.total, 0)).toBe(4);
    expect(countInto([], 60)).toEqual([]);
  });

  test("a frame shows the time in which nothing was", () => {
    const bins = countInto([{ atMs: 95, status: "failed", count: 3 }], { widthMs: 10, fromMs: 0, toMs: 99 });
    expect(bins.map((bin) => bin.total)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
  });

  test("widths give no more bars than were asked for", () => {
    for (const span of [1, 777, 86_400_000, 9e11]) expect(span / chooseWidth(span, 60)).toBeLessThanOrEqual(59);
  });

  test("failures stand on top", () => {
    const bin = { startMs: 0, endMs: 1, counts: { failed: 1, completed: 3 }, total: 4 };
    expect(stack(bin, 8)).toEqual([
      { status: "completed", from: 0, to: 0.375 },
      { status: "failed", from: 0.375, to: 0.5 },
    ]);
  });
});

describe("line differences", () => {
  const apply = (before: string, now: string) =>
    diffLines(before, now, 1e9)
      .filter((line) => line.kind !== "removed")
      .map((line) => line.text)
      .join("\n");

  test.each([
    ["", ""],
    ["", "a"],
    ["a\nb\nc", ""],
    ["a\nb\nc", "a\nc"],
    ["a\nb\nc", "a\nx\nc"],
    ["a\nb\nc\nd", "d\na\nb\ne\nc"],
    ["x\ny", "p\nq\nr"],
  ])("%j to %j: what is not removed is the new text, what is not added the old one", (before, now) => {
    expect(apply(before, now)).toBe(now);
    const old = diffLines(before, now, 1e9).filter((line) => line.kind !== "added");
    expect(old.map((line) => line.text).join("\n")).toBe(before);
  });

  test("the shortest one is found, and unchanged lines far from it are folded", () => {
    const before = Array.from({ length: 40 }, (_, index) => `line ${index}`);
    const now = [...before.slice(0, 20), "new", ...before.slice(21)];
    const lines = diffLines(before.join("\n"), now.join("\n"), 2);
    expect(lines.map((line) => line.kind)).toEqual(["gap", "same", "same", "removed", "added", "same", "same", "gap"]);
    expect(lines[0]!.text).toBe("18 unchanged lines");
    expect(lines[3]).toMatchObject({ before: 21, now: null });
  });
});

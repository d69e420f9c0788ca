import { describe, expect, test } from "vitest";
import type { RunView } from "../api_types";
import { askFor, complete, fits, readFilter, readMoment, writeFilter } from "./filters";

const run = (facts: Partial<RunView>): RunView =>
  ({
    id: "wrun_1",
    workflow: "shop:fulfil",
    status: "failed",
    created_at: "2026-01-02T03:00:00.000000Z",
    attributes: { tenant: "acme" },
    reason: null,
    error: null,
    ...facts,
  }) as RunView;

const NOW = Date.parse("2026-01-02T03:04:05Z");

describe("reading", () => {
  test("all of its words", () => {
    const { filter, problems } = readFilter(
      "status:failed,running workflow:create_site attr:tenant=acme after:1h no money",
    );
    expect(problems).toEqual([]);
    expect(filter).toEqual({
      statuses: ["failed", "running"],
      workflow: "create_site",
      attributes: [["tenant", "acme"]],
      after: "1h",
      before: null,
      words: ["no", "money"],
    });
    expect(askFor(filter)).toEqual({
      status: ["failed", "running"],
      workflow: "create_site",
      attr: ["tenant=acme"],
      since: "1h",
    });
  });

  test.each([
    ["status:done", /no status is called done; there are pending, running/],
    ["status:", /status: has no value yet/],
    ["attr:tenant", /attr:tenant is not like attr:key=value/],
    ["after:yesterday", /after:yesterday is no time/],
    ["before:2026-01-01T00:00:00", /is no time/],
  ])("%s is a problem that is said, and no search", (text, problem) => {
    const { filter, problems } = readFilter(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
    expect(filter.words).toEqual([]);
  });

  test.each(["status:failed", "workflow:a attr:k=v", 'attr:"name=a b" after:1h', '"two words" one', "http://x"])(
    "%s is written as it was read",
    (text) => {
      expect(writeFilter(readFilter(text).filter)).toBe(text);
      expect(readFilter(writeFilter(readFilter(text).filter))).toEqual(readFilter(text));
    },
  );

  test("an instant needs its zone", () => {
    expect(readMoment("2026-01-02T03:04:05Z", NOW)).toBe(NOW);
    expect(readMoment("2026-01-02T04:04:05+01:00", NOW)).toBe(NOW);
    expect(readMoment("1h", NOW)).toBe(NOW - 3_600_000);
    expect(readMoment("2026-01-02", NOW)).toBeNull();
  });
});

describe("does a run that changed belong in the list?", () => {
  test.each([
    ["", true],
    ["status:failed", true],
    ["status:running", false],
    ["workflow:fulfil", true],
    ["workflow:shop:fulfil", true],
    ["workflow:other", false],
    ["attr:tenant=acme", true],
    ["attr:tenant=other", false],
    ["after:10m", true],
    ["after:1m", false],
    ["before:1m", true],
    ["before:10m", false],
    ["ACME", true],
    ["wrun_1 acme", true],
    ["wrun_2", false],
  ])("%s: %s", (text, expected) => {
    expect(fits(run({}), readFilter(text).filter, NOW)).toBe(expected);
  });
});

describe("completion", () => {
  const known = { workflows: ["shop:fulfil", "shop:refund"], attributes: ["tenant=acme"] };
  const labels = (text: string, caret = text.length) => complete(text, caret, known).items.map((item) => item.label);

  test("offers keys, then what a key takes", () => {
    expect(labels("")).toEqual(["status:", "workflow:", "attr:", "after:", "before:"]);
    expect(labels("st")).toEqual(["status:"]);
    expect(labels("status:f")).toEqual(["status:failed"]);
    expect(labels("workflow:")).toEqual(["workflow:shop:fulfil", "workflow:shop:refund"]);
    expect(labels("status:failed attr:")).toEqual(["attr:tenant=acme"]);
    expect(labels("other:x")).toEqual([]);
  });

  test("is about the word at the caret", () => {
    expect(complete("status:f workflow:x", 8, known)).toMatchObject({ from: 0, items: [{ text: "status:failed" }] });
  });
});

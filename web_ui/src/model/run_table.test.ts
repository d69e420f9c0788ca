import { describe, expect, test } from "vitest";
import type { RunView } from "../api_types";
import { append, begin, EMPTY, newerOf, settle, take } from "./run_table";

const run = (id: number, status = "running"): RunView =>
  ({ id: `wrun_${id}`, status, created_at: `2026-01-02T03:04:0${id}.000000Z` }) as RunView;
const ids = (runs: readonly RunView[]) => runs.map((one) => Number(one.id.slice(5)));
const all = { isHeld: false, fits: () => true };
const held = { isHeld: true, fits: () => true };

test("a new run goes in front, newest first, whatever the order of the news", () => {
  const table = take(begin([run(2), run(1)], null), [run(3), run(4)], all);
  expect(ids(table.runs)).toEqual([4, 3, 2, 1]);
});

test("a run that changes changes in its place", () => {
  const table = take(begin([run(3), run(2), run(1)], null), [run(2, "completed")], all);
  expect(ids(table.runs)).toEqual([3, 2, 1]);
  expect(table.runs[1]!.status).toBe("completed");
});

test("of two views the one with more events is newer, and that of a run which was given a forgotten one's id", () => {
  const [few, many] = [1, 2].map((events) => ({ ...run(1), events })) as [RunView, RunView];
  const again = { ...run(2), events: 1 };
  expect([newerOf(undefined, few), newerOf(few, many), newerOf(many, few)]).toEqual([few, many, many]);
  expect([newerOf(many, again), newerOf(again, many)]).toEqual([again, again]);
});

describe("while it is held", () => {
  test("no row moves: what is new waits aside, and is shown when it is let go", () => {
    const table = take(begin([run(2), run(1)], null), [run(4), run(3)], held);
    expect(ids(table.runs)).toEqual([2, 1]);
    expect(ids(table.aside)).toEqual([4, 3]);
    expect(ids(settle(table).runs)).toEqual([4, 3, 2, 1]);
  });

  test("what waits aside changes, too, and is counted once", () => {
    const once = take(begin([run(1)], null), [run(2)], held);
    const twice = take(once, [run(2, "completed")], held);
    expect(twice.aside.map((one) => one.status)).toEqual(["completed"]);
  });

  test("a run that fits no more stays, marked, until it is let go", () => {
    const fits = (one: RunView) => one.status === "running";
    const table = take(begin([run(2), run(1)], null), [run(2, "failed")], { isHeld: true, fits });
    expect(ids(table.runs)).toEqual([2, 1]);
    expect([...table.misfits]).toEqual(["wrun_2"]);
    expect(ids(settle(table).runs)).toEqual([1]);
  });
});

test("a run that fits no more goes at once where nobody holds the list", () => {
  const fits = (one: RunView) => one.status === "running";
  expect(ids(take(begin([run(2), run(1)], null), [run(2, "failed")], { isHeld: false, fits }).runs)).toEqual([1]);
});

test("a run older than what is loaded waits for its page", () => {
  const table = take(begin([run(5), run(4)], "more"), [run(2)], all);
  expect(ids(table.runs)).toEqual([5, 4]);
  expect(ids(append(table, [run(3), run(2)], null).runs)).toEqual([5, 4, 3, 2]);
});

test("a page holds nothing twice", () => {
  expect(ids(append(begin([run(3), run(2)], "more"), [run(2), run(1)], null).runs)).toEqual([3, 2, 1]);
});

test("letting go of nothing changes nothing", () => {
  expect(settle(EMPTY)).toBe(EMPTY);
});

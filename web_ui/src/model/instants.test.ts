import { describe, expect, test } from "vitest";
import { localize, readDuration, showAgo, showBytes, showDuration, showInstant, showMark } from "./instants";

describe("durations", () => {
  test.each([
    [0, "0 ms"],
    [0.42, "0.42 ms"],
    [4.2, "4.2 ms"],
    [140, "140 ms"],
    [2500, "2.50 s"],
    [12_340, "12.3 s"],
    [0.004, "0.004 ms"],
    [0.996, "1.0 ms"],
    [9.96, "10 ms"],
    [999.6, "1.00 s"],
    [9_996, "10.0 s"],
    [59_949, "59.9 s"],
    [59_951, "1m 00s"],
    [59_996, "1m 00s"],
    [3_599_400, "59m 59s"],
    [3_599_600, "1h 00m"],
    [86_399_400, "23h 59m"],
    [86_399_700, "1d 0h"],
    [185_000, "3m 05s"],
    [2 * 3_600_000 + 4 * 60_000, "2h 04m"],
    [3 * 86_400_000 + 4 * 3_600_000, "3d 4h"],
    [-1500, "−1.50 s"],
    [null, ""],
  ])("%s ms is written %s", (ms, text) => {
    expect(showDuration(ms)).toBe(text);
  });

  test.each([
    ["90s", 90_000],
    ["1h 30m", 5_400_000],
    ["2d", 172_800_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["1x", null],
    ["h", null],
    ["", null],
    ["1h and more", null],
  ])("%s reads as %s", (text, ms) => {
    expect(readDuration(text)).toBe(ms);
  });
});

test("how long ago is told in one unit, and what is to come is told as such", () => {
  const nowMs = Date.parse("2026-01-02T03:04:05Z");
  expect(showAgo(nowMs - 400, nowMs)).toBe("now");
  expect(showAgo(nowMs - 12_000, nowMs)).toBe("12 s ago");
  expect(showAgo("2026-01-02T02:59:05Z", nowMs)).toBe("5 min ago");
  expect(showAgo(nowMs + 7 * 86_400_000, nowMs)).toBe("in 7 d");
  expect(showAgo("never", nowMs)).toBe("");
});

test("instants within a sentence are shown in this zone, and today's without their day", () => {
  const nowMs = Date.parse("2026-01-02T12:00:00Z");
  const clock = showInstant("2026-01-02T12:04:05Z").slice(11, 19);
  expect(localize("retrying at 2026-01-02T12:04:05.463430Z", nowMs)).toBe(`retrying at ${clock}`);
  expect(localize("until 2027-06-05T12:04:05Z", nowMs)).toMatch(/^until 2027-06-05 \d\d:\d\d:\d\d$/);
  expect(localize("waiting for hook site:42", nowMs)).toBe("waiting for hook site:42");
});

test("bytes", () => {
  expect([0, 812, 4096, 1_300_000, 5e9].map(showBytes)).toEqual(["0 B", "812 B", "4.0 KiB", "1.2 MiB", "4.7 GiB"]);
});

describe("marks of a scale", () => {
  test.each([
    [250, "2026-01-02 03:04:05.000"],
    [1000, "2026-01-02 03:04:05"],
    [60_000, "2026-01-02 03:04"],
    [86_400_000, "2026-01-02"],
  ])("%i ms apart are as exact as that", (apartMs, text) => {
    expect(showMark(new Date(2026, 0, 2, 3, 4, 5).getTime(), apartMs)).toBe(text);
  });
});

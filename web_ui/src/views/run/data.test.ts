// A part of a run's data: it is read again when there is news, and never twice at once.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { makePart } from "./data";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const asked: ((answer: string) => Promise<void>)[] = [];
  const part = makePart(
    () =>
      new Promise<string>((resolve) => {
        asked.push(async (answer) => {
          resolve(answer);
          await vi.advanceTimersByTimeAsync(0);
        });
      }),
  );
  part.want();
  return { part, asked };
}

it("who asks for it at once does so instead of the reading that was to come", async () => {
  const { part, asked } = start();
  await asked[0]!("first");
  part.heard();
  part.reload();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.length).toBe(2);
  await asked[1]!("second");
  await vi.advanceTimersByTimeAsync(1000);
  expect([part.data.value, asked.length]).toEqual(["second", 2]);
});

it("what is heard while it is read is read after", async () => {
  const { part, asked } = start();
  part.heard();
  part.reload();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.length).toBe(1);
  await asked[0]!("first");
  await vi.advanceTimersByTimeAsync(1000);
  await asked[1]!("second");
  expect(part.data.value).toBe("second");
});

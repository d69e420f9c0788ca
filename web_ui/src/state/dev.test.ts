// The dev server's status: read whenever the feed tells of it, and never taken back by an answer that was late.

import { afterEach, expect, it, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
});

it("the last thing that is shown is the last that was asked for, whichever answer is quicker", async () => {
  const asked: ((status: object) => void)[] = [];
  vi.stubGlobal(
    "fetch",
    () => new Promise<Response>((resolve) => asked.push((status) => resolve(Response.json({ status })))),
  );
  const { dev, readDev } = await import("./dev");
  const settled = async () => new Promise((resolve) => setTimeout(resolve));
  void readDev();
  void readDev();
  void readDev();
  asked[1]?.({ error: null });
  await settled();
  asked[0]!({ error: { message: "it does not load" } });
  await settled();
  asked[1]!({ error: null });
  await settled();
  expect(dev.value?.error).toBeNull();
  expect(asked.length).toBe(2);
});

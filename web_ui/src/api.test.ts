// Calls: what went wrong with them.

import { afterEach, expect, it, vi } from "vitest";
import { call, type Failure, onFailure, readText } from "./api";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** An answer that breaks off, as a connection does whose server is killed. */
function breakOff(): Response {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"items": ['));
    },
    pull(controller) {
      controller.error(new TypeError("network error"));
    },
  });
  return new Response(body);
}

it("an answer that breaks off says that the server is gone, as one that does not come", async () => {
  vi.stubGlobal("fetch", async () => breakOff());
  const heard: string[] = [];
  const stop = onFailure((failure) => heard.push(failure.slug));
  const slugOf = (error: Failure) => error.slug;
  expect(await call("GET /api/runs").catch(slugOf)).toBe("server-gone");
  expect(await readText("/api/sources/{digest}", { digest: "d" }).catch(slugOf)).toBe("server-gone");
  expect(heard).toEqual(["server-gone", "server-gone"]);
  stop();
});

it("an answer that is no JSON, or that nobody waits for any more, says nothing of the server", async () => {
  const heard: string[] = [];
  const stop = onFailure((failure) => heard.push(failure.slug));
  vi.stubGlobal("fetch", async () => new Response("<html>"));
  await expect(call("GET /api/runs")).rejects.toThrow(SyntaxError);
  const abort = new AbortController();
  vi.stubGlobal("fetch", async () => {
    abort.abort();
    return breakOff();
  });
  await expect(call("GET /api/runs", { signal: abort.signal })).rejects.toThrow(TypeError);
  expect(heard).toEqual([]);
  stop();
});

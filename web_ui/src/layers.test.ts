// The layers: model < canvas < views, with `api` and `state` between; and the rules that hold everywhere.

import { describe, expect, test } from "vitest";

const sources = import.meta.glob<string>("./**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const files = Object.entries(sources)
  .map(([path, text]) => ({ name: path.slice(2), text }))
  .filter(({ name }) => !name.endsWith(".test.ts"));

/** Give what a file imports of ours, as paths from here. */
function importsOf(name: string, text: string): string[] {
  const found = [...text.matchAll(/(?:from\s+|import\s*\(?\s*)"(\.[^"]+)"/g)].map((one) => one[1]!);
  return found.map((path) => new URL(path, `file:///${name}`).pathname.slice(1));
}

const MAY: Record<string, string[]> = {
  model: ["model", "api_types"],
  canvas: ["canvas", "model", "api_types"],
  api: ["model", "api_types"],
  state: ["state", "api", "model", "api_types"],
  views: ["views", "state", "canvas", "api", "model", "api_types"],
};

describe("imports go down only", () => {
  test.each(files.filter((file) => layerOf(file.name) in MAY))("$name", ({ name, text }) => {
    const allowed = MAY[layerOf(name)]!;
    expect(importsOf(name, text).filter((one) => !one.endsWith(".css") && !allowed.includes(layerOf(one)))).toEqual([]);
  });
});

test("there is something in every layer", () => {
  for (const layer of Object.keys(MAY)) expect(files.some((file) => layerOf(file.name) === layer)).toBe(true);
});

test("only api.ts talks to the server", () => {
  const talking = files.filter(({ text }) =>
    /\bfetch\(|new EventSource|XMLHttpRequest|sendBeacon|WebSocket/.test(text),
  );
  expect(talking.map((file) => file.name)).toEqual(["api.ts"]);
});

test("the model touches no page", () => {
  const touching = files.filter(
    ({ name, text }) => layerOf(name) === "model" && /\b(document|window|localStorage|location)\./.test(text),
  );
  expect(touching.map((file) => file.name)).toEqual([]);
});

test("nothing becomes markup", () => {
  const markup =
    /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|createContextualFragment/;
  expect(files.filter(({ text }) => markup.test(text)).map((file) => file.name)).toEqual([]);
});

function layerOf(name: string): string {
  return name.split("/")[0]!.replace(/\.tsx?$/, "");
}

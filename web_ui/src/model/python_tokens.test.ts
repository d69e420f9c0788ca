import { describe, expect, it } from "vitest";
import { tokenize } from "./python_tokens";

const kinds = (text: string) =>
  tokenize(text).map((line) => line.filter(({ kind }) => kind !== "").map((token) => [token.text, token.kind]));
const whole = (text: string) =>
  tokenize(text)
    .map((line) => line.map((token) => token.text).join(""))
    .join("\n");

describe("Python in colours", () => {
  it("knows words, strings, numbers, comments and what is defined", () => {
    const [first, second] = kinds('async def pay(n=1):  # twice\n    return "x"');
    expect(first).toContainEqual(["async", "tok-keyword"]);
    expect(first).toContainEqual(["# twice", "tok-comment"]);
    expect(first).toContainEqual(["1", "tok-number"]);
    expect(first!.find(([text]) => text === "pay")![1]).toContain("tok-definition");
    expect(second).toEqual([
      ["return", "tok-keyword"],
      ['"x"', "tok-string"],
    ]);
  });

  it("reads a fragment from inside of a block like any other", () => {
    const [first, second] = kinds("        await charge()\n            return None\n");
    expect(first![0]).toEqual(["await", "tok-keyword"]);
    expect(second![0]).toEqual(["return", "tok-keyword"]);
  });

  it.each([
    ["nothing", ""],
    ["blank lines", "\n\n  \n"],
    ["tabs and returns", "if x:\r\n\ty = 1\r\n"],
    ["what is no Python", 'def ((((:\n  """ <script>alert(1)</script>\n   \u202e}}'],
    ["an f-string", "f'{a!r:>{width}} \\n {b[\"c\"]}'"],
    ["a text that is cut in the middle of a string", '    """Wait for a person.\n\n    Silence is a no.'],
    ["a very long line", "x = 1; ".repeat(100_000)],
  ])("loses nothing of %s", (_, text) => {
    expect(whole(text)).toBe(text);
  });
});

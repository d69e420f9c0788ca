import { describe, expect, it } from "vitest";
import { type CodePlace, findPlaces, groupFrames, isOurs, linkTo, wholePath } from "./code_places";

function placesOf(text: string): string[] {
  return findPlaces(text)
    .filter((piece): piece is CodePlace => typeof piece !== "string")
    .map(({ file, line, column }) => `${file} ${line} ${column}`);
}

describe("places in a text", () => {
  it.each([
    ["flow.py:41 in fulfil", ["flow.py 41 1"]],
    ["at ./shop/flow.py:4:12", ["./shop/flow.py 4 12"]],
    ['  File "/srv/my shop/flow.py", line 17, in charge\n    raise ValueError', ["/srv/my shop/flow.py 17 1"]],
    ['  File "<string>", line 1', []],
    ['File "<frozen importlib._bootstrap>", line 241', []],
    ["a.py:1, then b.pyi:2", ["a.py 1 1", "b.pyi 2 1"]],
    ["at 12:30:41 it was 3.py", []],
    ["http://x.test/a.txt:3", []],
    ["", []],
  ])("%j", (text, wanted) => {
    expect(placesOf(text)).toEqual(wanted);
    expect(
      findPlaces(text)
        .map((piece) => (typeof piece === "string" ? piece : piece.text))
        .join(""),
    ).toBe(text);
  });

  it("does not freeze on what is made to freeze it", () => {
    const hostile = [
      `${"a/".repeat(1_000_000)}:1`,
      `${'File "'.repeat(200_000)}`,
      "a.py:1\n".repeat(200_000),
      "a".repeat(2_000),
    ];
    const began = performance.now();
    const counts = hostile.map((text) => placesOf(text).length);
    expect(counts).toEqual([0, 0, 400, 0]);
    expect(performance.now() - began).toBeLessThan(20_000); // it takes less than one; what is quadratic takes hours
  });
});

describe("ways to an editor", () => {
  const place: CodePlace = { text: "", file: "/srv/my shop/flow.py", line: 7, column: 2 };

  it("are links that name file, line and column", () => {
    expect(linkTo("vscode", place)).toBe("vscode://file/srv/my%20shop/flow.py:7:2");
    expect(linkTo("idea", place)).toBe("idea://open?file=%2Fsrv%2Fmy%20shop%2Fflow.py&line=7&column=2");
  });

  it("are for files of the project only", () => {
    expect(isOurs("flow.py", null)).toBe(true);
    expect(isOurs("/srv/shop/flow.py", "/srv/shop")).toBe(true);
    expect(isOurs("/srv/shopping/flow.py", "/srv/shop")).toBe(false);
    expect(isOurs("/usr/lib/python3/json.py", "/srv/shop/")).toBe(false);
    expect(wholePath("./a/flow.py", "/srv/shop/")).toBe("/srv/shop/a/flow.py");
    expect(wholePath("/srv/shop/flow.py", "/srv/shop")).toBe("/srv/shop/flow.py");
  });
});

describe("frames of a traceback", () => {
  const frame = (file: string, line: number): string => `  File "${file}", line ${line}, in f\n    code\n    ^^^^\n`;

  it("are grouped by whose they are, and joined are the text", () => {
    const text = [
      "Traceback (most recent call last):\n",
      frame("/srv/shop/flow.py", 1),
      frame("/usr/lib/python3/json.py", 2),
      frame("/usr/lib/python3/json.py", 3),
      frame("/srv/shop/a.py", 4),
      frame("/usr/lib/python3/x.py", 5),
      "ValueError: no\nmore words\n",
    ].join("");
    const groups = groupFrames(text, "/srv/shop");
    expect(groups.map((group) => group.text).join("")).toBe(text);
    expect(groups.map(({ isOurs: ours, frames }) => [ours, frames])).toEqual([
      [true, 0],
      [true, 1],
      [false, 2],
      [true, 1],
      [false, 1],
      [true, 0],
    ]);
    expect(groups.at(-1)!.text).toBe("ValueError: no\nmore words\n");
  });

  it("are all somebody else's where nobody knows the project", () => {
    expect(groupFrames(frame("/srv/shop/flow.py", 1), null)).toMatchObject([{ isOurs: false, frames: 1 }]);
    expect(groupFrames("", null)).toEqual([{ text: "", isOurs: true, frames: 0 }]);
  });
});

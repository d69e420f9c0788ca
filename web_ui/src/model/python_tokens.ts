// Python source as lines of tokens, for colouring. A fragment that begins inside of a block is read as if it began at the margin.

import { classHighlighter, highlightCode } from "@lezer/highlight";
import { parser } from "@lezer/python";

export interface Token {
  readonly text: string;
  /** What it is: `tok-keyword`, `tok-string` …; empty for the rest. */
  readonly kind: string;
}

/** Longer texts are shown without colours. */
const MOST_CHARACTERS = 400_000;

/** Give the tokens of each line; together they are the text. */
export function tokenize(text: string): Token[][] {
  const source = text.split("\n");
  if (text.length > MOST_CHARACTERS) return source.map((line) => [{ text: line, kind: "" }]);
  const indent = findIndent(source);
  const lines: Token[][] = [[]];
  const code = source.map((line) => line.slice(indent)).join("\n");
  highlightCode(
    code,
    parser.parse(code),
    classHighlighter,
    (text, kind) => lines.at(-1)!.push({ text, kind }),
    () => lines.push([]),
  );
  return lines.map((tokens, at) => {
    const margin = source[at]!.slice(0, indent);
    return margin === "" ? tokens : [{ text: margin, kind: "" }, ...tokens];
  });
}

/** What all lines but blank ones are indented by. */
function findIndent(lines: readonly string[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    const start = line.search(/\S/);
    if (start !== -1) least = Math.min(least, start);
  }
  return Number.isFinite(least) ? least : 0;
}

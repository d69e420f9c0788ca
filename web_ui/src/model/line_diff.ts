// The difference of two texts, line by line: Myers' algorithm, with the unchanged lines around each change.

export interface DiffLine {
  kind: "same" | "added" | "removed" | "gap";
  text: string;
  before: number | null;
  now: number | null;
}

/** Files longer than what this many edits explain are shown as one removal and one addition. */
const MOST_EDITS = 4000;

export function diffLines(before: string, now: string, context: number): DiffLine[] {
  const one = split(before);
  const other = split(now);
  return fold(walk(one, other), context);
}

function split(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function walk(one: string[], other: string[]): DiffLine[] {
  const trace = search(one, other);
  if (!trace) {
    return [
      ...one.map((text, index): DiffLine => ({ kind: "removed", text, before: index + 1, now: null })),
      ...other.map((text, index): DiffLine => ({ kind: "added", text, before: null, now: index + 1 })),
    ];
  }
  const lines: DiffLine[] = [];
  let x = one.length;
  let y = other.length;
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const reach = trace[edits]!;
    const k = x - y;
    const from = isDownward(reach, k, edits) ? k + 1 : k - 1;
    const fromX = reach.get(from) ?? 0;
    const fromY = fromX - from;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      lines.push({ kind: "same", text: one[x]!, before: x + 1, now: y + 1 });
    }
    if (edits === 0) break;
    if (x === fromX) lines.push({ kind: "added", text: other[fromY]!, before: null, now: fromY + 1 });
    else lines.push({ kind: "removed", text: one[fromX]!, before: fromX + 1, now: null });
    x = fromX;
    y = fromY;
  }
  return lines.reverse();
}

function isDownward(reach: Map<number, number>, k: number, edits: number): boolean {
  return k === -edits || (k !== edits && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
}

/** Find how far each diagonal reaches with 0, 1, 2 … edits; each entry is what was known before that edit. */
function search(one: string[], other: string[]): Map<number, number>[] | null {
  const trace: Map<number, number>[] = [];
  const reach = new Map<number, number>([[1, 0]]);
  const most = Math.min(MOST_EDITS, one.length + other.length);
  for (let edits = 0; edits <= most; edits++) {
    trace.push(new Map(reach));
    for (let k = -edits; k <= edits; k += 2) {
      let x = isDownward(reach, k, edits) ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      let y = x - k;
      while (x < one.length && y < other.length && one[x] === other[y]) {
        x += 1;
        y += 1;
      }
      reach.set(k, x);
      if (x >= one.length && y >= other.length) return trace;
    }
  }
  return null;
}

function fold(lines: DiffLine[], context: number): DiffLine[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, index) => {
    if (line.kind === "same") return;
    near.fill(1, Math.max(0, index - context), Math.min(lines.length, index + context + 1));
  });
  const shown: DiffLine[] = [];
  let hidden = 0;
  const close = () => {
    if (hidden > 0) shown.push({ kind: "gap", text: `${hidden} unchanged lines`, before: null, now: null });
    hidden = 0;
  };
  lines.forEach((line, index) => {
    if (near[index]) {
      close();
      shown.push(line);
    } else hidden += 1;
  });
  close();
  return shown;
}

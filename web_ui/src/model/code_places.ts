// Places in code that a text names: `flow.py:41`, and `File "/srv/flow.py", line 41` of a traceback.

export interface CodePlace {
  /** As it stands in the text. */
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A line that is longer is nobody's traceback: it is not looked through. */
const LONGEST = 2_000;
/** Each is a button: of more than these in one text the rest is plain. */
const MOST = 400;
const PLACE =
  /File "([^"\n]{1,1000})", line (\d{1,7})|((?:\/|\.{1,2}\/)?[\w@+~-][\w./@+~-]{0,500}\.pyi?):(\d{1,7})(?::(\d{1,7}))?/g;

/** Cut a text into pieces: what names a place, and what stands between. Joined they are the text. */
export function findPlaces(text: string): (string | CodePlace)[] {
  const pieces: (string | CodePlace)[] = [];
  let found = 0;
  let plain = "";
  for (const line of text.split(/(?<=\n)/)) {
    if (line.length > LONGEST || found >= MOST) {
      plain += line;
      continue;
    }
    let from = 0;
    for (const match of line.matchAll(PLACE)) {
      const [whole, quoted, quotedLine, bare, bareLine, column] = match;
      const file = quoted ?? bare!;
      if (file.startsWith("<")) continue; // `<string>`, `<frozen …>`: no file
      plain += line.slice(from, match.index);
      if (plain) pieces.push(plain);
      plain = "";
      pieces.push({ text: whole, file, line: Number(quotedLine ?? bareLine), column: Number(column ?? 1) });
      from = match.index + whole.length;
      found++;
    }
    plain += line.slice(from);
  }
  if (plain) pieces.push(plain);
  return pieces;
}

/** Ways to an editor besides the server's own: links that the browser hands on. */
export const LINKS = ["vscode", "cursor", "windsurf", "zed", "idea"] as const;
export type LinkKind = (typeof LINKS)[number];

/** The link that opens a file, given whole, in an editor of this machine. */
export function linkTo(kind: LinkKind, { file, line, column }: CodePlace): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  if (kind === "idea") return `idea://open?file=${encodeURIComponent(file)}&line=${line}&column=${column}`;
  return `${kind}://file${path.startsWith("/") ? "" : "/"}${path}:${line}:${column}`;
}

/** Whether a place can be in the project: it is given from its root, or lies below it. */
export function isOurs(file: string, root: string | null): boolean {
  if (!file.startsWith("/")) return true;
  return root !== null && file.startsWith(`${root.replace(/\/$/, "")}/`);
}

export function wholePath(file: string, root: string): string {
  return file.startsWith("/") ? file : `${root.replace(/\/$/, "")}/${file.replace(/^\.\//, "")}`;
}

export interface FrameGroup {
  text: string;
  isOurs: boolean;
  frames: number;
}

/** Cut a traceback into stretches of frames that are the project's, and such that are not; joined they are the text. */
export function groupFrames(text: string, root: string | null): FrameGroup[] {
  const groups: FrameGroup[] = [];
  let isInFrames = false;
  for (const line of text.split(/(?<=\n)/)) {
    const file = line.length > LONGEST ? undefined : /^\s*File "([^"\n]{1,1000})", line \d/.exec(line)?.[1];
    const last = groups.at(-1);
    if (file !== undefined) {
      const ours = isOurs(file, root) && !file.startsWith("<");
      if (last && isInFrames && last.isOurs === ours) {
        last.text += line;
        last.frames++;
      } else groups.push({ text: line, isOurs: ours, frames: 1 });
      isInFrames = true;
    } else if (last && (!isInFrames || /^\s/.test(line) || last.isOurs)) last.text += line;
    else {
      // Words of an exception after the last frame are nobody's frame: they are always shown.
      groups.push({ text: line, isOurs: true, frames: 0 });
      isInFrames = false;
    }
  }
  return groups;
}

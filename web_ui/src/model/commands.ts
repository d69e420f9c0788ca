// The `wf` command that does what a button does, to be copied. Arguments are quoted for a POSIX shell.

export function commandOf(...words: (string | null | undefined)[]): string {
  return ["wf", ...words.filter((word): word is string => word !== null && word !== undefined)].map(quote).join(" ");
}

/** Write `wf start` with arguments by place and by name, as JSON. */
export function startCommand(
  workflow: string,
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
  id: string | null,
): string {
  const named = Object.entries(kwargs).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const given = [...args.map((value) => JSON.stringify(value)), ...named];
  return commandOf("start", workflow, ...given, ...(id ? ["--id", id] : []));
}

export function resumeCommand(token: string, payload: unknown): string {
  return commandOf("resume", token, JSON.stringify(payload));
}

export function curlCommand(origin: string, path: string, body: unknown): string {
  const words = ["curl", `${origin}${path}`, "-H", "Authorization: Bearer $TOKEN", "--json", JSON.stringify(body)];
  return words.map((word) => (word.includes("$TOKEN") ? `"${word}"` : quote(word))).join(" ");
}

export function quote(word: string): string {
  if (word !== "" && /^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

// Fuzzy matching for the palette: letters in order, words' beginnings and runs of letters first.

export interface Match {
  score: number;
  /** Places in the text that matched, to be marked. */
  places: number[];
}

export function match(pattern: string, text: string): Match | null {
  const wanted = pattern.toLowerCase().replaceAll(" ", "");
  if (wanted === "") return { score: 0, places: [] };
  const lower = text.toLowerCase();
  const whole = lower.indexOf(pattern.toLowerCase().trim());
  if (whole >= 0) {
    const length = pattern.trim().length;
    const places = Array.from({ length }, (_, index) => whole + index);
    return { score: 1000 - whole - text.length / 100 + (isStart(text, whole) ? 200 : 0), places };
  }
  const places: number[] = [];
  let score = 0;
  let at = 0;
  for (const letter of wanted) {
    const found = lower.indexOf(letter, at);
    if (found < 0) return null;
    score += isStart(text, found) ? 10 : found === at && at > 0 ? 6 : 1 - Math.min(0.9, (found - at) / 50);
    places.push(found);
    at = found + 1;
  }
  return { score: score - text.length / 100, places };
}

function isStart(text: string, place: number): boolean {
  return (
    place === 0 || !/[a-z0-9]/i.test(text[place - 1]!) || (/[a-z]/.test(text[place - 1]!) && /[A-Z]/.test(text[place]!))
  );
}

/** Rank items by how well their text matches; those that do not are left out. Equal ones keep their order. */
export function rank<T>(
  pattern: string,
  items: readonly T[],
  textOf: (item: T) => string,
): { item: T; match: Match }[] {
  const found: { item: T; match: Match; index: number }[] = [];
  items.forEach((item, index) => {
    const one = match(pattern, textOf(item));
    if (one) found.push({ item, match: one, index });
  });
  return found.sort((one, other) => other.match.score - one.match.score || one.index - other.index);
}

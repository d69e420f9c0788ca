/**
 * Search: which spans have a text in their name, kind, status or error. Words are looked at once each, not once a
 * span: a hundred thousand spans have a dozen names.
 */

import type { Scene, SpanAt, Track } from "./timeline_scene";
import type { SpanTable } from "./timeline_spans";
import type { Words } from "./timeline_words";

export class Matches {
  /** By track: 1 where a span matches. */
  private readonly marks = new Map<Track, Uint8Array>();
  private readonly found: SpanAt[] = [];

  constructor(
    scene: Scene,
    readonly text: string,
  ) {
    const wanted = text.trim().toLowerCase();
    if (wanted === "") return;
    for (const track of scene.tracks()) {
      const marks = matchTable(track.table, wanted);
      this.marks.set(track, marks);
      for (let span = 0; span < marks.length; span++) if (marks[span] === 1) this.found.push({ track, span });
    }
  }

  get isEmpty(): boolean {
    return this.text.trim() === "";
  }

  get count(): number {
    return this.found.length;
  }

  has(track: Track, span: number): boolean {
    return this.marks.get(track)?.[span] === 1;
  }

  at(place: number): SpanAt | null {
    return this.found[place] ?? null;
  }

  /** The place of the next (or the previous) match after a span, around the end. */
  next(from: SpanAt | null, direction: 1 | -1): number {
    if (this.found.length === 0) return -1;
    if (from === null) return direction === 1 ? 0 : this.found.length - 1;
    const order = new Map([...this.marks.keys()].map((track, at) => [track, at]));
    const fromTrack = order.get(from.track) ?? -1;
    const isBehind = ({ track, span }: SpanAt): boolean =>
      track === from.track ? span > from.span : order.get(track)! > fromTrack;
    const after = this.found.findIndex(isBehind);
    if (direction === 1) return after === -1 ? 0 : after;
    let place = after === -1 ? this.found.length - 1 : after - 1;
    if (place >= 0 && this.found[place]!.track === from.track && this.found[place]!.span === from.span) place--;
    return place < 0 ? this.found.length - 1 : place;
  }
}

function matchTable(table: SpanTable, wanted: string): Uint8Array {
  const names = matchWords(table.names, wanted);
  const kinds = matchWords(table.kinds, wanted);
  const statuses = matchWords(table.statuses, wanted);
  const marks = new Uint8Array(table.count);
  for (let span = 0; span < table.count; span++) {
    marks[span] = names[table.name[span]!]! | kinds[table.kind[span]!]! | statuses[table.status[span]!]!;
  }
  for (const [span, error] of table.errorTypes) if (error.toLowerCase().includes(wanted)) marks[span] = 1;
  const exact = table.findId(wanted.replace(/^#/, ""));
  if (exact >= 0) marks[exact] = 1;
  return marks;
}

function matchWords(words: Words, wanted: string): Uint8Array {
  const matches = new Uint8Array(words.count);
  for (let code = 0; code < words.count; code++) {
    matches[code] = words.decode(code).toLowerCase().includes(wanted) ? 1 : 0;
  }
  return matches;
}

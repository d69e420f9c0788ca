// Instants and durations as people read them. Pure: "now" is always an argument.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Write a duration with at most two units: `0.42 ms`, `140 ms`, `2.50 s`, `3m 05s`, `2h 04m`, `3d 4h`. */
export function showDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  if (ms < 0) return `−${showDuration(-ms)}`;
  if (ms === 0) return "0 ms";
  // What would be rounded up to the next unit is written in that one.
  if (ms < 9.95) return `${ms.toFixed(ms < 0.0095 ? 3 : ms < 0.995 ? 2 : 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / SECOND_MS).toFixed(ms < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / SECOND_MS);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${pad(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h ${pad(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** Write how long ago an instant was, in one unit: `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function showAgo(at: string | number, nowMs: number): string {
  const ms = nowMs - (typeof at === "number" ? at : Date.parse(at));
  if (Number.isNaN(ms)) return "";
  if (ms < -SECOND_MS) return `in ${inOneUnit(-ms)}`;
  return ms < SECOND_MS ? "now" : `${inOneUnit(ms)} ago`;
}

function inOneUnit(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} d`;
}

/** Write an instant in this browser's zone: `2026-01-02 03:04:05.000`. */
export function showInstant(at: string | number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${showClock(at)}`;
}

/** Write an instant as exactly as a scale has it whose marks are so far apart: `2026-01-02 03:04`. */
export function showMark(at: number, apartMs: number): string {
  const whole = showInstant(at);
  if (apartMs < SECOND_MS) return whole;
  return whole.slice(0, apartMs < MINUTE_MS ? 19 : apartMs < DAY_MS ? 16 : 10);
}

/** Write the time of day of an instant: `03:04:05.000`. */
export function showClock(at: string | number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** Put the instants that a sentence names into this browser's zone, and leave today's day out. */
export function localize(sentence: string, nowMs: number): string {
  return sentence.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (text) => {
    const whole = showInstant(text).replace(/\.\d+$/, "");
    return whole.startsWith(showInstant(nowMs).slice(0, 10)) ? whole.slice(11) : whole;
  });
}

/** Read a duration like `90s`, `1h 30m`, `2d`; null where it is none. */
export function readDuration(text: string): number | null {
  const units: Record<string, number> = {
    ms: 1,
    s: SECOND_MS,
    m: MINUTE_MS,
    h: HOUR_MS,
    d: DAY_MS,
    w: 7 * DAY_MS,
  };
  const part = /\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)/y;
  let total = 0;
  let place = 0;
  while (place < text.length) {
    part.lastIndex = place;
    const found = part.exec(text);
    if (!found) return null;
    total += Number(found[1]) * units[found[2]!]!;
    place = part.lastIndex;
  }
  return place > 0 ? total : null;
}

/** Write a count of bytes: `812 B`, `4.0 KiB`, `1.2 MiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1024 && unit < units.length - 1);
  return `${value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`;
}

const COUNTS = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Write a count with separators: `12,345`. */
export function showCount(count: number): string {
  return COUNTS.format(count);
}

/** Say how many: `1 run`, `12,345 runs`. */
export function sayMany(count: number, what: string): string {
  return `${showCount(count)} ${what}${count === 1 ? "" : "s"}`;
}

function pad(part: number): string {
  return String(part).padStart(2, "0");
}

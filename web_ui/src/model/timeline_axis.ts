/**
 * Ticks of the axis: round times since the run was created, and the breaks where gaps are pressed together.
 *
 * A day into a run, at milliseconds a tick, `1d 00:00:01.250` on every tick is unreadable. So a tick says what
 * changes from tick to tick, and those at a minute, or behind a break, say where that is (`isMajor`).
 */

import { showDuration } from "./instants";
import { toPx, type View } from "./timeline_columns";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface Tick {
  readonly px: number;
  readonly ms: number;
  readonly label: string;
  /** Says where it is, and may be looked for; others may say their seconds only. */
  readonly isMajor: boolean;
}

/** A gap; or several that are so near each other that the work between them cannot be seen, `gapMs` long together. */
export interface Break {
  readonly startPx: number;
  readonly endPx: number;
  readonly gapMs: number;
  readonly label: string;
}

export interface Axis {
  /** The minute that the leftmost tick is in, where ticks say their seconds only; else empty. */
  readonly base: string;
  readonly ticks: readonly Tick[];
  readonly breaks: readonly Break[];
}

const TICK_PX = 84;
/** Breaks that are nearer are one: a run that polls for months has a gap for each hour, and a picture few hundred breaks. */
const BETWEEN_BREAKS_PX = 3;

const STEPS_MS: readonly number[] = [
  ...[0.001, 0.01, 0.1, 1, 10, 100].flatMap((unit) => [unit, 2 * unit, 5 * unit]),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND_MS),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE_MS),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR_MS),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((count) => count * DAY_MS),
];

export function chooseStep(msPerPx: number): number {
  const leastMs = msPerPx * TICK_PX;
  return STEPS_MS.find((step) => step >= leastMs) ?? STEPS_MS[STEPS_MS.length - 1]!;
}

export function makeAxis(view: View): Axis {
  const { camera, scale } = view;
  const right = camera.startFolded + camera.widthPx * camera.foldedPerPx;
  const stepMs = chooseStep(camera.foldedPerPx);
  const ticks: Tick[] = [];
  const breaks: Unlabelled[] = [];
  for (const piece of scale.pieces(camera.startFolded, right)) {
    const startPx = (piece.startFolded - camera.startFolded) / camera.foldedPerPx;
    const endPx = (piece.endFolded - camera.startFolded) / camera.foldedPerPx;
    if (piece.isGap) {
      addBreak(breaks, startPx, endPx, piece.endMs - piece.startMs);
      continue;
    }
    const fromMs = Math.max(piece.startMs, scale.unfold(camera.startFolded));
    const toMs = Math.min(piece.endMs, scale.unfold(right));
    let isFirst = true;
    for (let tick = Math.ceil(fromMs / stepMs - 1e-9); tick * stepMs <= toMs; tick++) {
      const ms = tick * stepMs;
      const px = toPx(view, ms);
      const before = ticks[ticks.length - 1];
      if (before !== undefined && px - before.px < TICK_PX * 0.6) continue;
      // The first tick behind a break may be anywhere in its unit: it says the whole time.
      const { label, isMajor } = labelTick(ms, stepMs, isFirst && breaks.length + ticks.length > 0);
      isFirst = false;
      ticks.push({ px, ms, label, isMajor });
    }
  }
  const first = ticks[0];
  const isShort = first !== undefined && !first.isMajor && first.label.startsWith(":");
  const base = isShort ? showOffset(Math.floor(first.ms / MINUTE_MS + 1e-9) * MINUTE_MS, MINUTE_MS) : "";
  return { base, ticks, breaks: breaks.map((one) => ({ ...one, label: showDuration(one.gapMs) })) };
}

type Unlabelled = Omit<Break, "label">;

function addBreak(breaks: Unlabelled[], startPx: number, endPx: number, gapMs: number): void {
  const before = breaks[breaks.length - 1];
  if (before === undefined || startPx - before.endPx >= BETWEEN_BREAKS_PX) breaks.push({ startPx, endPx, gapMs });
  else breaks[breaks.length - 1] = { startPx: before.startPx, endPx, gapMs: before.gapMs + gapMs };
}

/** Label a tick. Beyond a minute, ticks below a second say only their seconds: `:05.250` follows `1d 02:00:05`. */
export function labelTick(ms: number, stepMs: number, isWhole = false): { label: string; isMajor: boolean } {
  if (Math.abs(ms) < stepMs / 2) return { label: "0", isMajor: true };
  if (ms < 0) return { label: `−${showOffset(-ms, stepMs)}`, isMajor: false };
  if (stepMs >= SECOND_MS || ms < MINUTE_MS) return { label: showOffset(ms, stepMs), isMajor: isWhole };
  const restMs = ms - Math.floor(ms / MINUTE_MS + 1e-9) * MINUTE_MS;
  if (isWhole || restMs < stepMs / 2) return { label: showOffset(ms, stepMs), isMajor: true };
  return { label: `:${showSeconds(restMs / SECOND_MS, decimalsOf(stepMs))}`, isMajor: false };
}

/** Write a time since the run's creation as exactly as the ticks are apart: `250 ms`, `1.25 s`, `2m 05s`, `1d 02:00`. */
export function showOffset(ms: number, stepMs: number): string {
  const decimals = decimalsOf(stepMs);
  if (ms < SECOND_MS - 1e-9) {
    const fewer = Math.max(0, decimals - 3);
    return ms < 1 - 1e-9 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(fewer)} ms`;
  }
  if (ms < MINUTE_MS - 1e-6) return `${(ms / SECOND_MS).toFixed(decimals)} s`;
  const days = Math.floor(ms / DAY_MS + 1e-12);
  const hours = Math.floor((ms - days * DAY_MS) / HOUR_MS + 1e-9);
  const minutes = Math.floor((ms - days * DAY_MS - hours * HOUR_MS) / MINUTE_MS + 1e-9);
  const seconds = Math.max(0, (ms - days * DAY_MS - hours * HOUR_MS - minutes * MINUTE_MS) / SECOND_MS);
  const isSecondShown = stepMs < MINUTE_MS;
  const shownSeconds = showSeconds(seconds, decimals);
  if (days > 0) {
    if (stepMs >= DAY_MS) return `${days}d`;
    const clock = `${pad(hours)}:${pad(minutes)}${isSecondShown ? `:${shownSeconds}` : ""}`;
    return `${days}d ${clock}`;
  }
  const large = hours > 0 ? `${hours}h${minutes > 0 || isSecondShown ? ` ${pad(minutes)}m` : ""}` : `${minutes}m`;
  return isSecondShown ? `${large} ${shownSeconds}s` : large;
}

/** How many decimals of a second tell ticks apart. */
function decimalsOf(stepMs: number): number {
  return stepMs >= SECOND_MS ? 0 : Math.min(6, Math.ceil(-Math.log10(stepMs / SECOND_MS) - 1e-9));
}

function showSeconds(seconds: number, decimals: number): string {
  const text = seconds.toFixed(decimals);
  return text.indexOf(".") === 1 || text.length === 1 ? `0${text}` : text;
}

function pad(count: number): string {
  return String(count).padStart(2, "0");
}

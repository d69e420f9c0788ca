/** Icons of kinds and of statuses, as strokes in a box of 12 by 12. Shape alone tells them apart. */

const STROKES = {
  run: "M2 2.5H10M2 6H10M2 9.5H7",
  step: "M2.5 2.5H9.5V9.5H2.5Z",
  operation: "M6 1.5L10.5 6L6 10.5L1.5 6Z",
  sleep: "M9.8 7.4A4.2 4.2 0 1 1 5 2.2A3.4 3.4 0 0 0 9.8 7.4Z",
  deadline: "M6 3A4 4 0 1 1 5.99 3M6 5V7.2L7.6 8.2M4.6 1H7.4",
  hook: "M7.5 2.2V7.2A2.2 2.2 0 1 1 3.1 7.2M7.5 2.2m-1.2 0a1.2 1.2 0 1 0 2.4 0a1.2 1.2 0 1 0 -2.4 0",
  lock: "M3 5.5H9V10H3ZM4.2 5.5V4A1.8 1.8 0 0 1 7.8 4V5.5",
  child: "M2.5 1.5V8H6M6 5.8H10V10.2H6Z",
  watch: "M1 6C3 2.8 9 2.8 11 6C9 9.2 3 9.2 1 6M6 4.6A1.4 1.4 0 1 1 5.99 4.6",
  completed: "M2.2 6.4L4.8 9L9.8 3.4",
  failed: "M3 3L9 9M9 3L3 9",
  cancelled: "M6 1.8A4.2 4.2 0 1 1 5.99 1.8M3.2 8.8L8.8 3.2",
  abandoned: "M2.5 6H9.5",
  running: "M3.6 2.4L9.4 6L3.6 9.6Z",
  queued: "M2.5 6H2.6M6 6H6.1M9.5 6H9.6",
  retrying: "M9.6 4.2A4 4 0 1 0 10 6.6M9.8 1.8V4.4H7.2",
  waiting: "M4.2 3V9M7.8 3V9",
  expanded: "M2.5 4.2L6 7.8L9.5 4.2",
  folded: "M4.2 2.5L7.8 6L4.2 9.5",
} as const;

export type IconName = keyof typeof STROKES;

const ALIKE: Record<string, IconName> = {
  pending: "queued",
  received: "completed",
  disposed: "completed",
  released: "completed",
  held: "lock",
  conflict: "failed",
};

const paths = new Map<string, Path2D>();

/** Draw the icon of a kind or status, its box's left top corner at a point. */
export function drawIcon(on: CanvasRenderingContext2D, name: string, xPx: number, yPx: number, colour: string): void {
  const known = (name in STROKES ? name : (ALIKE[name] ?? "step")) as IconName;
  let path = paths.get(known);
  if (path === undefined) {
    path = new Path2D(STROKES[known]);
    paths.set(known, path);
  }
  on.save();
  on.translate(xPx, yPx);
  on.strokeStyle = colour;
  on.lineWidth = known === "queued" ? 2 : 1.4;
  on.lineCap = "round";
  on.lineJoin = "round";
  on.stroke(path);
  on.restore();
}

/**
 * The camera: which part of the axis and of the rows is on the screen. Pure: each move gives a new one.
 *
 * Horizontally the axis (`Folded`) against pixels, vertically pixels of all rows (`topPx`) against pixels.
 */

export interface Camera {
  readonly startFolded: number;
  readonly foldedPerPx: number;
  readonly topPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** What there is to see. */
export interface Bounds {
  readonly startFolded: number;
  readonly endFolded: number;
  readonly contentPx: number;
}

/** 10 nanoseconds a pixel: instants are microseconds, so there is nothing to see below. */
const CLOSEST = 1e-5;
/** What stays free at the right of a picture that shows everything, for labels beside bars. */
const MARGIN = 0.06;

export function endFolded(camera: Camera): number {
  return camera.startFolded + camera.widthPx * camera.foldedPerPx;
}

/** Keep something on the screen: at most everything with its margin, never above the first row or below the last. */
export function clampCamera(camera: Camera, bounds: Bounds): Camera {
  const all = fitAll(camera, bounds);
  const foldedPerPx = Math.min(Math.max(camera.foldedPerPx, CLOSEST), all.foldedPerPx);
  const widthFolded = foldedPerPx * camera.widthPx;
  const last = Math.max(all.startFolded, all.startFolded + all.foldedPerPx * camera.widthPx - widthFolded);
  return {
    ...camera,
    foldedPerPx,
    startFolded: Math.min(Math.max(camera.startFolded, all.startFolded), last),
    topPx: Math.max(0, Math.min(camera.topPx, bounds.contentPx - camera.heightPx)),
  };
}

export function fitAll(camera: Camera, bounds: Bounds): Camera {
  const lengthFolded = Math.max(bounds.endFolded - bounds.startFolded, 0.001);
  const foldedPerPx = (lengthFolded * (1 + MARGIN)) / Math.max(1, camera.widthPx);
  return { ...camera, startFolded: bounds.startFolded - lengthFolded * 0.004, foldedPerPx };
}

/** So much may a picture of everything be behind a run that grows: there is room at its right. */
const HAIR_PX = 3;

/** Whether two cameras show the same, but for a hair. */
export function isNear(left: Camera, right: Camera): boolean {
  const hair = HAIR_PX * Math.min(left.foldedPerPx, right.foldedPerPx);
  return (
    left.widthPx === right.widthPx &&
    left.heightPx === right.heightPx &&
    left.topPx === right.topPx &&
    Math.abs(left.startFolded - right.startFolded) < hair &&
    Math.abs(endFolded(left) - endFolded(right)) < hair
  );
}

export function fitRange(camera: Camera, startFolded: number, rangeEndFolded: number): Camera {
  const length = Math.max(rangeEndFolded - startFolded, CLOSEST * camera.widthPx);
  return { ...camera, startFolded, foldedPerPx: length / Math.max(1, camera.widthPx) };
}

/** Zoom so that what is under a pixel stays there. `factor` below 1 comes closer. */
export function zoomAt(camera: Camera, px: number, factor: number): Camera {
  const foldedPerPx = Math.max(camera.foldedPerPx * factor, CLOSEST);
  return { ...camera, foldedPerPx, startFolded: camera.startFolded + px * (camera.foldedPerPx - foldedPerPx) };
}

export function panBy(camera: Camera, rightPx: number, downPx: number): Camera {
  return { ...camera, startFolded: camera.startFolded + rightPx * camera.foldedPerPx, topPx: camera.topPx + downPx };
}

/** Scroll as little as it takes to have a row in sight, with one more around it. */
export function revealRow(camera: Camera, row: number, rowPx: number): Camera {
  const topPx = Math.min(camera.topPx, Math.max(0, (row - 1) * rowPx));
  return { ...camera, topPx: Math.max(topPx, (row + 2) * rowPx - camera.heightPx) };
}

/** Move as little as it takes to have a stretch of time in sight; one that is too long, from its beginning. */
export function revealTime(camera: Camera, startFolded: number, stretchEndFolded: number): Camera {
  const margin = 40 * camera.foldedPerPx;
  const right = endFolded(camera);
  if (startFolded >= camera.startFolded && stretchEndFolded <= right) return camera;
  const length = camera.widthPx * camera.foldedPerPx;
  if (startFolded < camera.startFolded || stretchEndFolded - startFolded > length - 2 * margin) {
    // One that reaches through the whole picture is in sight already.
    if (startFolded <= camera.startFolded && stretchEndFolded >= right) return camera;
    return { ...camera, startFolded: startFolded - margin };
  }
  return { ...camera, startFolded: stretchEndFolded + margin - length };
}

/** A camera on the way from one to another; `progress` from 0 to 1. Widths change by factors, as eyes expect. */
export function mixCameras(from: Camera, to: Camera, progress: number): Camera {
  if (progress >= 1) return to;
  const eased = 1 - (1 - progress) ** 3;
  const foldedPerPx = from.foldedPerPx * (to.foldedPerPx / from.foldedPerPx) ** eased;
  const change = to.foldedPerPx - from.foldedPerPx;
  // Along a zoom the fixed point stays fixed: place follows width, not time.
  const share = Math.abs(change) < 1e-12 * from.foldedPerPx ? eased : (foldedPerPx - from.foldedPerPx) / change;
  return {
    ...to,
    foldedPerPx,
    startFolded: from.startFolded + (to.startFolded - from.startFolded) * share,
    topPx: from.topPx + (to.topPx - from.topPx) * eased,
  };
}

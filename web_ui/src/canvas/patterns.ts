/**
 * Patterns that tell states apart without colour: what failed is hatched, what is queued is dotted, what is held is
 * striped. Tiles are drawn once for a theme and a resolution.
 */

import type { Theme } from "./theme";

export interface Patterns {
  readonly failed: CanvasPattern | string;
  readonly lost: CanvasPattern | string;
  readonly off: CanvasPattern | string;
  readonly queued: CanvasPattern | string;
  readonly held: CanvasPattern | string;
  readonly gap: CanvasPattern | string;
}

export function makePatterns(context: CanvasRenderingContext2D, theme: Theme, ratio: number): Patterns {
  const tile = (sizePx: number, fallback: string, draw: (on: CanvasRenderingContext2D) => void) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.round(sizePx * ratio);
    const on = canvas.getContext("2d");
    if (on === null) return fallback;
    on.scale(canvas.width / sizePx, canvas.height / sizePx);
    draw(on);
    const pattern = context.createPattern(canvas, "repeat");
    pattern?.setTransform(new DOMMatrix().scale(sizePx / canvas.width));
    return pattern ?? fallback;
  };
  return {
    failed: tile(6, theme.failed, (on) => {
      fill(on, theme.failed, 6);
      lines(on, theme.ground, 1.2, [
        [-1, 7, 7, -1],
        [-4, 4, 4, -4],
        [2, 10, 10, 2],
      ]);
    }),
    lost: tile(6, theme.failed, (on) => {
      fill(on, theme.failed, 6);
      lines(on, theme.ground, 1, [
        [0, 6, 6, 0],
        [0, 0, 6, 6],
      ]);
    }),
    off: tile(6, theme.off, (on) => {
      fill(on, theme.off, 6);
      lines(on, theme.ground, 1.6, [
        [-1, -1, 7, 7],
        [-4, 2, 2, 8],
        [4, -2, 10, 4],
      ]);
    }),
    queued: tile(4, theme.queued, (on) => {
      on.fillStyle = theme.queued;
      on.fillRect(0, 0, 1.4, 1.4);
      on.fillRect(2, 2, 1.4, 1.4);
    }),
    held: tile(3, theme.held, (on) => {
      on.fillStyle = theme.held;
      on.fillRect(0, 0, 3, 1.6);
    }),
    gap: tile(7, theme.breakGround, (on) => {
      lines(on, theme.breakGround, 1, [
        [-1, 8, 8, -1],
        [-4.5, 4.5, 4.5, -4.5],
        [2.5, 11.5, 11.5, 2.5],
      ]);
    }),
  };
}

function fill(on: CanvasRenderingContext2D, colour: string, sizePx: number): void {
  on.fillStyle = colour;
  on.fillRect(0, 0, sizePx, sizePx);
}

function lines(on: CanvasRenderingContext2D, colour: string, widthPx: number, ends: readonly number[][]): void {
  on.strokeStyle = colour;
  on.lineWidth = widthPx;
  on.beginPath();
  for (const [fromX, fromY, toX, toY] of ends) {
    on.moveTo(fromX!, fromY!);
    on.lineTo(toX!, toY!);
  }
  on.stroke();
}

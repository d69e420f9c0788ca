/**
 * Input: pointers, wheels and keys as verbs of the chart. It draws nothing, and the chart knows of no event.
 *
 *     wheel                scroll rows; with Shift, or sideways: pan; with Ctrl, or a pinch: zoom at the pointer
 *     drag                 pan both ways; with Shift, or while measuring: measure; on the axis: zoom to the stretch
 *     click, double click  select; show the call as wide as the chart
 *     minimap              drag the window, its edges, or a new one; double click: everything
 */

import type { Chart } from "./chart";
import { AXIS_PX, type Point } from "./picture";

/** What a drag does, from its first movement to its end. */
interface Drag {
  move(at: Point, event: PointerEvent): void;
  end?(at: Point, isClick: boolean): void;
  /** It was taken away: by a second finger, or by the system. */
  cancel?(): void;
}

const CLICK_PX = 3;
const EDGE_PX = 5;
const LINE_PX = 16;

/** Listen on the chart's canvases; gives the undoing. */
export function attachInput(chart: Chart, canvas: HTMLCanvasElement, minimap: HTMLCanvasElement): () => void {
  const abort = new AbortController();
  const listen = { signal: abort.signal };
  canvas.addEventListener("wheel", (event) => onWheel(chart, canvas, event), { passive: false, ...listen });
  canvas.addEventListener("pointerleave", () => chart.aim.point(null), listen);
  canvas.addEventListener("dblclick", (event) => onDoubleClick(chart, pointOf(canvas, event)), listen);
  minimap.addEventListener("dblclick", () => chart.fit(), listen);
  trackDrags(canvas, listen, {
    begin: (at, event) => beginChartDrag(chart, at, event),
    hover: (at) => {
      canvas.dataset.cursor = cursorAt(chart, at);
      chart.aim.point(at);
    },
    pinch: (at, factor, by) => {
      chart.zoom(factor, at.x - chart.labelPx);
      chart.pan(-by.x, -by.y);
    },
  });
  trackDrags(minimap, listen, {
    begin: (at) => beginBrushDrag(chart, { x: at.x - chart.labelPx, y: at.y }),
    hover: ({ x, y }) => {
      const at = { x: x - chart.labelPx, y };
      const { startPx, endPx } = chart.strip.brush;
      const isEdge = Math.abs(at.x - startPx) < EDGE_PX || Math.abs(at.x - endPx) < EDGE_PX;
      minimap.dataset.cursor = isEdge ? "resize" : at.x > startPx && at.x < endPx ? "grab" : "cross";
    },
  });
  return () => abort.abort();
}

function pointOf(element: Element, event: MouseEvent): Point {
  const box = element.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function cursorAt(chart: Chart, at: Point): string {
  if (Math.abs(at.x - chart.labelPx) < EDGE_PX) return "resize";
  if (at.x < chart.labelPx) return "point";
  if (at.y < AXIS_PX || chart.aim.isMeasuring) return "cross";
  return chart.aim.hit(at.x, at.y) === null ? "grab" : "point";
}

function onWheel(chart: Chart, canvas: HTMLCanvasElement, event: WheelEvent): void {
  const units: Record<number, number> = {
    [WheelEvent.DOM_DELTA_LINE]: LINE_PX,
    [WheelEvent.DOM_DELTA_PAGE]: canvas.clientHeight,
  };
  const unit = units[event.deltaMode] ?? 1;
  const xPx = event.deltaX * unit;
  const yPx = event.deltaY * unit;
  if (event.ctrlKey || event.metaKey) {
    // A pinch on a touchpad comes as small deltas with Ctrl, a wheel's notch as about a hundred.
    const factor = Math.exp(Math.max(-50, Math.min(50, yPx)) * 0.01);
    chart.zoom(factor, pointOf(canvas, event).x - chart.labelPx);
  } else if (event.shiftKey) {
    chart.pan(xPx + yPx, 0);
  } else {
    // A page that scrolls goes on scrolling where the rows are at their end.
    const topPx = chart.eye.camera.topPx;
    chart.pan(xPx, yPx);
    if (xPx === 0 && chart.eye.camera.topPx === topPx) return;
  }
  event.preventDefault();
}

function onDoubleClick(chart: Chart, at: Point): void {
  if (at.y < AXIS_PX) chart.fit();
  else if (at.x >= chart.labelPx && chart.aim.hit(at.x, at.y) === null) chart.zoom(0.5, at.x - chart.labelPx, true);
  else chart.fitSelected();
}

function beginChartDrag(chart: Chart, from: Point, event: PointerEvent): Drag {
  if (Math.abs(from.x - chart.labelPx) < EDGE_PX) return { move: (at) => chart.resizeLabels(at.x) };
  if (from.x < chart.labelPx) return beginLabelDrag(chart, from);
  if (from.y < AXIS_PX) {
    return {
      move: (at) => chart.aim.markPixels(from.x - chart.labelPx, at.x - chart.labelPx),
      end(at, isClick) {
        chart.aim.measure(null);
        if (!isClick) chart.fitPixels(from.x - chart.labelPx, at.x - chart.labelPx);
      },
      cancel: () => chart.aim.measure(null),
    };
  }
  if (event.shiftKey || chart.aim.isMeasuring) {
    return {
      move: (at) => chart.aim.measureBetween(from, at),
      end: (_at, isClick) => {
        if (isClick) chart.aim.measure(null);
      },
    };
  }
  let last = from;
  return {
    move(at) {
      chart.pan(last.x - at.x, last.y - at.y);
      chart.aim.point(at);
      last = at;
    },
    end(at, isClick) {
      if (isClick) chart.select(chart.aim.hit(at.x, at.y));
    },
  };
}

function beginLabelDrag(chart: Chart, from: Point): Drag {
  let last = from;
  return {
    move(at) {
      chart.pan(0, last.y - at.y);
      chart.aim.point(at);
      last = at;
    },
    end(at, isClick) {
      if (!isClick) return;
      const found = chart.aim.labelled(at.x, at.y);
      if (found !== null && chart.aim.isOnTwisty(found, at.x)) chart.toggle(found);
      else chart.select(found);
    },
  };
}

/** Points are the minimap's strip's, which begins where the chart does. */
function beginBrushDrag(chart: Chart, from: Point): Drag {
  const drag = dragBrush(chart, from);
  const shifted = (at: Point): Point => ({ x: at.x - chart.labelPx, y: at.y });
  return {
    move: (at, event) => drag.move(shifted(at), event),
    end: (at, isClick) => drag.end?.(shifted(at), isClick),
  };
}

function dragBrush(chart: Chart, from: Point): Drag {
  const { startPx, endPx } = chart.strip.brush;
  if (Math.abs(from.x - startPx) < EDGE_PX)
    return { move: (at) => chart.strip.setBrush(Math.min(at.x, endPx - 2), endPx) };
  if (Math.abs(from.x - endPx) < EDGE_PX)
    return { move: (at) => chart.strip.setBrush(startPx, Math.max(at.x, startPx + 2)) };
  const isWithin = from.x > startPx && from.x < endPx;
  return {
    move(at) {
      if (isWithin) {
        chart.strip.setBrush(startPx + at.x - from.x, endPx + at.x - from.x);
        chart.strip.centreRows(at.y);
      } else {
        chart.strip.setBrush(Math.min(from.x, at.x), Math.max(from.x, at.x, Math.min(from.x, at.x) + 2));
      }
    },
    end(at, isClick) {
      if (!isClick) return;
      const half = (endPx - startPx) / 2;
      chart.strip.setBrush(at.x - half, at.x + half);
      chart.strip.centreRows(at.y);
    },
  };
}

interface Drags {
  begin(at: Point, event: PointerEvent): Drag;
  hover(at: Point): void;
  pinch?(at: Point, factor: number, by: Point): void;
}

/** Follow pointers: one drags, two pinch. */
function trackDrags(element: HTMLElement, listen: { signal: AbortSignal }, drags: Drags): void {
  const pointers = new Map<number, Point>();
  let drag: Drag | null = null;
  let from: Point = { x: 0, y: 0 };
  let isClick = false;
  element.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      from = pointOf(element, event);
      pointers.set(event.pointerId, from);
      isClick = true;
      drag?.cancel?.();
      drag = pointers.size === 1 ? drags.begin(from, event) : null;
    },
    listen,
  );
  element.addEventListener(
    "pointermove",
    (event) => {
      const at = pointOf(element, event);
      if (pointers.size === 2 && pointers.has(event.pointerId)) {
        pinch(drags, pointers, event.pointerId, at);
      } else if (drag !== null) {
        if (isClick && Math.hypot(at.x - from.x, at.y - from.y) < CLICK_PX) return;
        isClick = false;
        drag.move(at, event);
      } else {
        drags.hover(at);
      }
    },
    listen,
  );
  const finish = (event: PointerEvent): void => {
    pointers.delete(event.pointerId);
    const ended = drag;
    drag = null;
    if (event.type === "pointerup") ended?.end?.(pointOf(element, event), isClick);
    else ended?.cancel?.();
  };
  element.addEventListener("pointerup", finish, listen);
  element.addEventListener("pointercancel", finish, listen);
}

function pinch(drags: Drags, pointers: Map<number, Point>, moved: number, at: Point): void {
  const before = pointers.get(moved)!;
  const other = [...pointers].find(([id]) => id !== moved)![1];
  pointers.set(moved, at);
  const was = Math.max(8, Math.hypot(before.x - other.x, before.y - other.y));
  const is = Math.max(8, Math.hypot(at.x - other.x, at.y - other.y));
  const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
  drags.pinch?.(middle, was / is, { x: (at.x - before.x) / 2, y: (at.y - before.y) / 2 });
}

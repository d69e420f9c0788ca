/**
 * The chart: what the timeline shows just now, and the frame in which it is painted.
 *
 *     model (scene, camera) ← Chart → painter, minimap           input.ts calls Chart's verbs; nobody else draws
 *
 * 1. Every change only says `invalidate`; all drawing is in one place (`frame`), once a frame at most.
 * 2. What costs as much as the run is long (density, search, path, scale) is derived when the run or a choice changed,
 *    and while a run is followed in slices or a few times a second. A frame itself costs what is in sight.
 * 3. Following: `all` keeps the whole run in sight, `end` the present width at its end. Who moves away is left alone.
 */

import type { EventView, Trace } from "../api_types";
import { showDuration } from "../model/instants";
import {
  type Bounds,
  type Camera,
  clampCamera,
  endFolded,
  fitAll,
  fitRange,
  mixCameras,
  panBy,
  revealRow,
  revealTime,
  zoomAt,
} from "../model/timeline_camera";
import { toMs, toPx, type View } from "../model/timeline_columns";
import { type Density, DensityMaker } from "../model/timeline_density";
import { Fold } from "../model/timeline_fold";
import { hitSpan, snapMs } from "../model/timeline_hit";
import { type Measure, type Measured, measure } from "../model/timeline_measure";
import { type CriticalPath, findCriticalPath } from "../model/timeline_path";
import { type Arrangement, Scene, type SpanAt, type Track } from "../model/timeline_scene";
import { Matches } from "../model/timeline_search";
import { NONE, RUN, readTrace } from "../model/timeline_spans";
import { Crowds } from "./crowds";
import { twistyPx } from "./labels";
import { type Brush, Minimap } from "./minimap";
import { paint } from "./painter";
import { makePatterns, type Patterns } from "./patterns";
import { AXIS_PX, type Picture } from "./picture";
import { Surface } from "./surface";
import { readTheme, type Theme, watchTheme } from "./theme";

export type Following = "all" | "end" | "off";

/** What the toolbar and the texts around the canvas show. */
export interface ChartState {
  readonly arrangement: Arrangement;
  readonly isFolding: boolean;
  readonly gapCount: number;
  readonly isPathShown: boolean;
  readonly pathCount: number;
  readonly isMeasuring: boolean;
  readonly following: Following;
  readonly isEnded: boolean;
  readonly matchCount: number;
  readonly matchPlace: number;
  readonly measured: Measured | null;
  readonly rowCount: number;
  readonly spanCount: number;
  readonly version: number;
}

export interface ChartEvents {
  selected(at: SpanAt | null): void;
  opened(at: SpanAt): void;
  hovered(at: SpanAt | null, xPx: number, yPx: number): void;
  changed(state: ChartState): void;
  /** A child run is to be shown or hidden. */
  toggled(at: SpanAt): void;
  /** Events are missing: the trace must be read anew. */
  stale(track: Track): void;
  /** Another stretch of time is shown, and stays for a moment: `from~to` in milliseconds; null is everything. */
  viewed(view: string | null): void;
}

export interface ChartParts {
  readonly chart: HTMLCanvasElement;
  readonly minimap: HTMLCanvasElement;
  /** Has the CSS variables, and the size. */
  readonly frame: HTMLElement;
}

const ROW_PX = { calls: 22, names: 20 } as const;
const MINIMAP_PX = 52;
const GLIDE_MS = 140;
const DERIVE_MS = 400;
const STILL_MS = 250;
/** How long a view has to stay until it is told of. */
const VIEWED_MS = 300;
/** How late news may be shown, where a pixel is so long that they would hardly be seen. */
const NEWS_MS = 200;
const SLICE = 12_000;
const NARROWEST_LABEL_PX = 120;
/** From so many calls on a row each is a picture of nothing: such a run is first shown by names. */
const MANY_CALLS = 400;

export class Chart {
  scene: Scene;
  camera: Camera = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx: 1, heightPx: 1 };
  labelPx = 260;
  following: Following = "all";
  selected: SpanAt | null = null;
  measured: Measure | null = null;
  isMeasuring = false;
  isLive = false;

  private readonly surface: Surface;
  private readonly minimap: Minimap;
  private readonly crowds = new Crowds();
  private theme: Theme;
  private patterns: Patterns;
  private folds = new Map<Track, Fold>();
  private matches: Matches;
  private matchPlace = -1;
  private isPathShown = false;
  private paths: Map<Track, CriticalPath> | null = null;
  private hovered: SpanAt | null = null;
  private hoveredRow = NONE;
  private pointerPx: { x: number; y: number } | null = null;
  private glide: { from: Camera; to: Camera; startMs: number } | null = null;
  private density: Density | null = null;
  private densityMaker: DensityMaker | null = null;
  private densityVersion = "";
  private derivedVersion = -1;
  private derivedAtMs = 0;
  private version = 0;
  private requested = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private timerDueMs = 0;
  private viewTimer: ReturnType<typeof setTimeout> | undefined;
  private viewTold: string | null = null;
  private readonly undo: (() => void)[] = [];
  private isFitted = false;
  private told = "";
  private measurement: { of: Measure; version: number; is: Measured } | null = null;

  constructor(
    private readonly parts: ChartParts,
    trace: Trace,
    private readonly events: ChartEvents,
    private readonly nowUs: () => number = () => Date.now() * 1000,
    /** What is shown at first, as `viewed` told it. */
    private firstView: string | null = null,
  ) {
    this.scene = new Scene(readTrace(trace));
    if (this.scene.root.table.count > MANY_CALLS) this.scene.arrangement = "names";
    this.matches = new Matches(this.scene, "");
    this.surface = new Surface(parts.chart);
    this.minimap = new Minimap(new Surface(parts.minimap));
    this.theme = readTheme(parts.frame);
    this.patterns = makePatterns(this.surface.context, this.theme, 1);
    this.undo.push(watchTheme(() => this.restyle()));
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(parts.frame);
    this.undo.push(() => observer.disconnect());
    this.resize();
  }

  dispose(): void {
    cancelAnimationFrame(this.requested);
    clearTimeout(this.timer);
    clearTimeout(this.viewTimer);
    for (const undo of this.undo) undo();
  }

  // -- what is shown

  /** Show a trace that was read anew; of the same run, the camera and what is selected stay. */
  setTrace(trace: Trace): void {
    const before = this.scene;
    const selectedId = this.selected === null ? null : before.idOf(this.selected);
    const isSame = before.root.table.runId === trace.run_id;
    const isFollowed = this.folds.has(before.root);
    this.scene = new Scene(readTrace(trace));
    this.scene.arrangement = before.arrangement;
    this.scene.isFolding = before.isFolding;
    this.folds.clear();
    if (isSame) {
      for (const track of before.tracks()) this.adopt(before, track);
      this.selected = selectedId === null ? null : this.scene.find(selectedId);
    } else {
      this.selected = null;
      this.measured = null;
      this.isFitted = false;
      this.following = "all";
    }
    if (isFollowed) this.foldOf(this.scene.root);
    this.scene.scale = isSame ? before.scale : this.scene.scale;
    this.hovered = null;
    this.touch();
  }

  /** Open a child again that was open in the scene before. */
  private adopt(before: Scene, track: Track): void {
    if (track.parent === null) return;
    const parent = this.scene.find(before.idOf({ track: track.parent, span: track.parentSpan }));
    if (parent !== null) this.scene.open(parent.track, parent.span, track.table);
  }

  openChild(at: SpanAt, trace: Trace): void {
    if (at.track.children.has(at.span)) return;
    this.scene.open(at.track, at.span, readTrace(trace));
    this.touch();
  }

  closeChild(at: SpanAt): void {
    this.scene.close(at.track, at.span);
    this.touch();
  }

  trackOf(runId: string): Track | null {
    for (const track of this.scene.tracks()) if (track.table.runId === runId) return track;
    return null;
  }

  /** Fold events of a run that is followed. */
  addEvents(track: Track, events: readonly EventView[]): void {
    const fold = this.foldOf(track);
    for (const event of events) {
      if (fold.add(event) === "stale") {
        this.events.stale(track);
        break;
      }
    }
    fold.settleWaits();
    this.version++;
    // What moves nothing by half a pixel can wait: a thousand events a second are not a thousand pictures.
    this.paintWithin(Math.min(NEWS_MS, this.stepMs));
  }

  private foldOf(track: Track): Fold {
    let fold = this.folds.get(track);
    if (fold === undefined) {
      fold = new Fold(track.table, (span, kind, atMs, delta) => this.scene.noteEdge(track, span, kind, atMs, delta));
      this.folds.set(track, fold);
    }
    return fold;
  }

  // -- choices

  arrange(arrangement: Arrangement): void {
    this.scene.arrangement = arrangement;
    this.camera = { ...this.camera, topPx: 0 };
    this.touch();
    this.scene.arrange();
    if (this.selected !== null) this.reveal(this.selected);
  }

  foldGaps(isFolding: boolean): void {
    this.scene.isFolding = isFolding;
    this.touch();
  }

  showPath(isShown: boolean): void {
    this.isPathShown = isShown;
    this.touch();
  }

  search(text: string): void {
    this.matches = new Matches(this.scene, text);
    this.matchPlace = -1;
    this.invalidate();
  }

  /** Go to the next match, or the one before. */
  seek(direction: 1 | -1): void {
    this.matchPlace = this.matches.next(this.selected, direction);
    const found = this.matches.at(this.matchPlace);
    if (found !== null) this.select(found);
  }

  select(at: SpanAt | null, isTold = true): void {
    this.selected = at;
    if (at !== null) this.reveal(at);
    if (isTold) this.events.selected(at);
    this.invalidate();
  }

  selectId(id: string | null): void {
    if (id === null) this.selected = null;
    else if (this.selected === null || this.scene.idOf(this.selected) !== id) {
      const found = this.scene.find(id);
      this.scene.arrange();
      if (found !== null) this.select(found, false);
    }
    this.invalidate();
  }

  /** Go to the next call, or the one before. */
  step(direction: 1 | -1): void {
    const { scene, selected } = this;
    scene.arrange();
    if (selected === null) {
      const row = Math.round(this.camera.topPx / this.rowPx);
      const first = scene.rowAt(Math.max(0, Math.min(row, scene.rowCount - 1)));
      if (first !== null) this.select(this.firstOf(first));
      return;
    }
    if (scene.arrangement === "calls") {
      const next = scene.rowAt(scene.rowOf(selected) + direction);
      if (next !== null) this.select(this.firstOf(next));
      return;
    }
    const span = selected.span + direction;
    if (span >= RUN && span < selected.track.table.count) this.select({ track: selected.track, span });
  }

  private firstOf(row: NonNullable<ReturnType<Scene["rowAt"]>>): SpanAt {
    return { track: row.track, span: row.kind === "span" ? row.span : row.lane.spans[0]! };
  }

  openSelected(): void {
    if (this.selected !== null) this.events.opened(this.selected);
  }

  toggleSelected(isOpening: boolean): void {
    const at = this.selected;
    if (at === null || at.track.table.kindOf(at.span) !== "child") return;
    if (at.track.children.has(at.span) !== isOpening) this.events.toggled(at);
  }

  /** Leave what was begun last: a measure, a search, the selection. Tells whether there was any. */
  escape(): boolean {
    if (this.isMeasuring || this.measured !== null) {
      this.setMeasuring(false);
    } else if (!this.matches.isEmpty) {
      this.search("");
    } else if (this.selected !== null) {
      this.select(null);
    } else {
      return false;
    }
    return true;
  }

  setMeasuring(isMeasuring: boolean): void {
    this.isMeasuring = isMeasuring;
    if (!isMeasuring) this.measured = null;
    this.invalidate();
  }

  // -- moving

  get rowPx(): number {
    return ROW_PX[this.scene.arrangement];
  }

  /** Zoom around a pixel of the chart; none: around the pointer, or the middle. */
  zoom(factor: number, xPx: number | null = null, isGliding = false): void {
    const px = xPx ?? this.pointerPx?.x ?? this.camera.widthPx / 2;
    this.move(zoomAt(this.target, px, factor), isGliding);
  }

  pan(rightPx: number, downPx: number, isGliding = false): void {
    this.move(panBy(this.target, rightPx, downPx), isGliding);
  }

  fit(): void {
    this.move(fitAll(this.target, this.bounds()), true);
    this.following = this.isLive && !this.scene.root.table.isEnded ? "all" : "off";
  }

  /** Show a span with some room around it; none is selected: everything. */
  fitSelected(): void {
    if (this.selected === null) this.fit();
    else {
      const { startFolded, endFolded: end } = this.stretchOf(this.selected);
      const roomFolded = Math.max((end - startFolded) * 0.08, this.camera.foldedPerPx * 1e-3, 1e-4);
      this.move(fitRange(this.target, startFolded - roomFolded, end + roomFolded), true);
    }
  }

  fitPixels(fromPx: number, toEndPx: number): void {
    const { startFolded, foldedPerPx } = this.camera;
    const [from, to] = fromPx < toEndPx ? [fromPx, toEndPx] : [toEndPx, fromPx];
    this.move(fitRange(this.camera, startFolded + from * foldedPerPx, startFolded + to * foldedPerPx), true);
  }

  follow(following: Following): void {
    this.following = following;
    if (following === "end") {
      const widthFolded = this.camera.widthPx * this.camera.foldedPerPx;
      this.camera = { ...this.camera, startFolded: this.bounds().endFolded - widthFolded * 0.95 };
    }
    this.invalidate();
  }

  move(camera: Camera, isGliding = false): void {
    const to = clampCamera(camera, this.bounds());
    if (isGliding && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.glide = { from: this.camera, to, startMs: performance.now() };
    } else {
      this.glide = null;
      this.camera = to;
    }
    const isAtEnd = endFolded(to) >= this.bounds().endFolded;
    if (this.isLive && !this.scene.root.table.isEnded) this.following = isAtEnd ? "end" : "off";
    this.invalidate();
  }

  /** Where the camera is going: what comes next builds on that. */
  private get target(): Camera {
    return this.glide?.to ?? this.camera;
  }

  private reveal(at: SpanAt): void {
    this.scene.arrange();
    const row = this.scene.rowOf(at);
    const { startFolded, endFolded: end } = this.stretchOf(at);
    let camera = revealTime(this.target, startFolded, end);
    if (row !== NONE) camera = revealRow(camera, row, this.rowPx);
    this.move(camera, true);
  }

  private stretchOf({ track, span }: SpanAt): { startFolded: number; endFolded: number } {
    const { scale } = this.scene;
    const { table, shiftMs } = track;
    const endMs = table.reachMs(span, this.nowMs - shiftMs) + shiftMs;
    return { startFolded: scale.fold(table.startMs[span]! + shiftMs), endFolded: scale.fold(endMs) };
  }

  // -- pointing

  /** The pointer is at a point of the canvas, or nowhere. */
  point(at: { x: number; y: number } | null): void {
    const isInChart = at !== null && at.x >= this.labelPx && at.y >= AXIS_PX;
    this.pointerPx = at !== null && at.x >= this.labelPx ? { x: at.x - this.labelPx, y: at.y - AXIS_PX } : null;
    this.hoveredRow =
      at !== null && at.y >= AXIS_PX ? Math.floor((at.y - AXIS_PX + this.camera.topPx) / this.rowPx) : NONE;
    const hit = at === null ? null : isInChart ? this.hit(at.x, at.y) : this.labelled(at.x, at.y);
    const isOther = hit?.track !== this.hovered?.track || hit?.span !== this.hovered?.span;
    this.hovered = hit;
    if (isOther || hit !== null) this.events.hovered(isInChart ? hit : null, at?.x ?? 0, at?.y ?? 0);
    this.invalidate();
  }

  /** The span at a point of the canvas. */
  hit(xPx: number, yPx: number): SpanAt | null {
    if (yPx < AXIS_PX) return null;
    return hitSpan(this.scene, this.view(), this.rowPx, xPx - this.labelPx, yPx - AXIS_PX);
  }

  /** The call whose name is at a point of the canvas. */
  labelled(xPx: number, yPx: number): SpanAt | null {
    if (xPx >= this.labelPx || yPx < AXIS_PX) return null;
    const row = this.scene.rowAt(Math.floor((yPx - AXIS_PX + this.camera.topPx) / this.rowPx));
    return row?.kind === "span" ? { track: row.track, span: row.span } : null;
  }

  /** Whether a point is on the sign that opens a child run. */
  isOnTwisty(at: SpanAt, xPx: number): boolean {
    const { startPx, endPx } = twistyPx(at.track);
    return at.track.table.kindOf(at.span) === "child" && xPx >= startPx - 4 && xPx < endPx + 4;
  }

  toggle(at: SpanAt): void {
    this.events.toggled(at);
  }

  measureBetween(from: { x: number; y: number }, to: { x: number; y: number }): void {
    const snap = (at: { x: number; y: number }): number =>
      snapMs(this.scene, this.view(), this.rowPx, at.x - this.labelPx, at.y - AXIS_PX);
    this.measured = { startMs: snap(from), endMs: snap(to) };
    this.invalidate();
  }

  /** Show a stretch of the chart that is about to be zoomed to. */
  markPixels(fromPx: number, toEndPx: number): void {
    this.measured = { startMs: toMs(this.view(), fromPx), endMs: toMs(this.view(), toEndPx) };
    this.invalidate();
  }

  clearMeasure(): void {
    this.measured = null;
    this.invalidate();
  }

  resizeLabels(widthPx: number): void {
    this.labelPx = Math.round(Math.min(Math.max(widthPx, NARROWEST_LABEL_PX), this.surface.widthPx * 0.6));
    this.resize();
  }

  // -- the minimap

  /** The strip shows what `fit` shows, so that both lie over each other then. */
  private get strip(): Camera {
    return fitAll(this.camera, this.bounds());
  }

  get brush(): Brush {
    const { camera, strip } = this;
    const bounds = this.bounds();
    const perPx = MINIMAP_PX / Math.max(bounds.contentPx, camera.heightPx);
    return {
      startPx: (camera.startFolded - strip.startFolded) / strip.foldedPerPx,
      endPx: (endFolded(camera) - strip.startFolded) / strip.foldedPerPx,
      topPx: camera.topPx * perPx,
      bottomPx: (camera.topPx + camera.heightPx) * perPx,
    };
  }

  /** Show what the window would show. */
  setBrush(startPx: number, endPx: number): void {
    const { startFolded, foldedPerPx } = this.strip;
    this.move(fitRange(this.camera, startFolded + startPx * foldedPerPx, startFolded + endPx * foldedPerPx));
  }

  centreRows(yPx: number): void {
    const bounds = this.bounds();
    const middlePx = (yPx / MINIMAP_PX) * Math.max(bounds.contentPx, this.camera.heightPx);
    this.move({ ...this.camera, topPx: middlePx - this.camera.heightPx / 2 });
  }

  // -- the frame

  invalidate(): void {
    if (this.requested !== 0) return;
    this.requested = requestAnimationFrame((timeMs) => this.frame(timeMs));
  }

  /** Something that pictures are derived from is another. */
  private touch(): void {
    this.version++;
    this.invalidate();
  }

  private restyle(): void {
    this.theme = readTheme(this.parts.frame);
    this.patterns = makePatterns(this.surface.context, this.theme, this.surface.ratio);
    if (this.density !== null) this.minimap.render(this.density, this.theme);
    this.invalidate();
  }

  private resize(): void {
    const box = this.parts.frame.getBoundingClientRect();
    const widthPx = Math.max(1, Math.floor(box.width));
    const heightPx = Math.max(1, Math.floor(box.height - MINIMAP_PX));
    const before = this.surface.ratio;
    this.surface.resize(widthPx, heightPx);
    this.minimap.surface.resize(widthPx, MINIMAP_PX);
    if (this.surface.ratio !== before || this.version === 0) {
      this.patterns = makePatterns(this.surface.context, this.theme, this.surface.ratio);
    }
    this.labelPx = Math.min(this.labelPx, Math.round(widthPx * 0.6));
    const chartPx = Math.max(1, widthPx - this.labelPx);
    const foldedPerPx = (this.camera.foldedPerPx * this.camera.widthPx) / chartPx;
    this.camera = { ...this.camera, widthPx: chartPx, heightPx: Math.max(1, heightPx - AXIS_PX), foldedPerPx };
    this.glide = null;
    this.densityVersion = "";
    // A new size clears a canvas: paint now, or a frame would be empty.
    if (this.isFitted) this.paintNow();
    this.touch();
  }

  get nowMs(): number {
    const { table } = this.scene.root;
    const clockMs = this.isLive ? (this.nowUs() - table.createdUs) / 1000 : 0;
    let lastMs = 0;
    for (const track of this.scene.tracks()) lastMs = Math.max(lastMs, track.table.lastMs + track.shiftMs);
    return Math.max(lastMs, clockMs);
  }

  view(): View {
    return { camera: this.camera, scale: this.scene.scale, nowMs: this.nowMs };
  }

  bounds(): Bounds {
    const { scene, nowMs } = this;
    return {
      startFolded: scene.scale.fold(scene.startMs),
      endFolded: scene.scale.fold(scene.endMs(nowMs)),
      contentPx: (scene.rowCount + 1) * this.rowPx,
    };
  }

  private frame(timeMs: number): void {
    this.requested = 0;
    this.derive(timeMs);
    this.moveCamera(timeMs);
    this.paintNow();
    this.workOnDensity();
    this.tell();
    this.planView();
    this.planNext();
  }

  /** Bring up to date what depends on the whole run. */
  private derive(timeMs: number): void {
    const { scene } = this;
    const wasAtBottom = this.camera.topPx >= this.bounds().contentPx - this.camera.heightPx - 1;
    const hadRows = scene.rowCount;
    scene.arrange();
    const isGrowing = this.isLive && !scene.root.table.isEnded;
    if (isGrowing && this.following !== "off" && wasAtBottom && hadRows > 0 && scene.rowCount > hadRows) {
      this.camera = { ...this.camera, topPx: (scene.rowCount + 1) * this.rowPx - this.camera.heightPx };
    }
    const isDue = timeMs - this.derivedAtMs >= DERIVE_MS;
    const isStale = this.derivedVersion !== this.version;
    if (!(isStale && (!this.isFitted || !isGrowing || isDue)) && !(isGrowing && isDue)) {
      if (isGrowing && scene.isWaiting(this.nowMs)) this.rescale();
      return;
    }
    this.derivedVersion = this.version;
    this.derivedAtMs = timeMs;
    this.rescale();
    if (!this.matches.isEmpty) this.matches = new Matches(scene, this.matches.text);
    this.paths = null;
    if (this.isPathShown) {
      this.paths = new Map([...scene.tracks()].map((track) => [track, findCriticalPath(track.table)]));
    }
  }

  /** Choose gaps anew; what is at the edges of the picture stays there. */
  private rescale(): void {
    const { scene, camera } = this;
    const before = scene.scale;
    scene.rescale(this.nowMs);
    if (scene.scale === before) return;
    const anchor = (one: Camera): Camera => {
      const startFolded = scene.scale.fold(before.unfold(one.startFolded));
      const end = scene.scale.fold(before.unfold(endFolded(one)));
      return fitRange(one, startFolded, end);
    };
    this.camera = anchor(camera);
    if (this.glide !== null) this.glide = { ...this.glide, from: anchor(this.glide.from), to: anchor(this.glide.to) };
  }

  private moveCamera(timeMs: number): void {
    if (!this.isFitted) {
      this.camera = clampCamera(this.firstCamera(), this.bounds());
      this.isFitted = true;
    }
    if (this.glide !== null) {
      const progress = Math.max(0, (timeMs - this.glide.startMs) / GLIDE_MS);
      this.camera = mixCameras(this.glide.from, this.glide.to, progress);
      if (progress >= 1) this.glide = null;
      else this.invalidate();
    } else if (this.following === "all" && !this.scene.root.table.isEnded && this.isLive) {
      this.camera = fitAll(this.camera, this.bounds());
    } else if (this.following === "end" && !this.scene.root.table.isEnded && this.isLive) {
      const widthFolded = this.camera.widthPx * this.camera.foldedPerPx;
      this.camera = { ...this.camera, startFolded: this.bounds().endFolded - widthFolded * 0.95 };
    }
    this.camera = clampCamera(this.camera, this.bounds());
  }

  private firstCamera(): Camera {
    const [fromMs, toMs] = (this.firstView ?? "").split("~").map(Number);
    this.viewTold = this.firstView;
    this.firstView = null;
    if (fromMs === undefined || toMs === undefined || !(toMs > fromMs)) return fitAll(this.camera, this.bounds());
    this.following = "off";
    return fitRange(this.camera, this.scene.scale.fold(fromMs), this.scene.scale.fold(toMs));
  }

  /** Tell which stretch is shown, once it stays. */
  private planView(): void {
    const { camera, strip } = this;
    const isAll = this.following !== "off" || Math.abs(camera.foldedPerPx / strip.foldedPerPx - 1) < 1e-6;
    const edges = [0, camera.widthPx].map((px) => toMs(this.view(), px));
    const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(camera.foldedPerPx))));
    const view = isAll ? null : edges.map((ms) => Number(ms.toFixed(decimals))).join("~");
    if (view === this.viewTold) return;
    this.viewTold = view;
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.events.viewed(view), VIEWED_MS);
  }

  private paintNow(): void {
    paint(this.surface.begin(), this.picture());
    this.paintMinimap();
  }

  private paintMinimap(): void {
    const breaks = this.scene.scale.gaps.map((gap) => this.onMinimap(gap.startMs, gap.endMs));
    const { table } = this.scene.root;
    const took = showDuration(table.reachMs(RUN, this.nowMs));
    const calls = `${(table.count - 1).toLocaleString("en")} ${table.count === 2 ? "call" : "calls"}`;
    this.minimap.paint(this.theme, this.labelPx, this.brush, breaks, [took, calls]);
  }

  private onMinimap(startMs: number, endMs: number): { startPx: number; endPx: number } {
    const { strip } = this;
    const { scale } = this.scene;
    const toStripPx = (ms: number): number => (scale.fold(ms) - strip.startFolded) / strip.foldedPerPx;
    return { startPx: toStripPx(startMs), endPx: toStripPx(endMs) };
  }

  private picture(): Picture {
    const { measured } = this;
    return {
      scene: this.scene,
      view: this.view(),
      theme: this.theme,
      patterns: this.patterns,
      crowds: this.crowds,
      widthPx: this.surface.widthPx,
      heightPx: this.surface.heightPx,
      labelPx: this.labelPx,
      rowPx: this.rowPx,
      selected: this.selected,
      hovered: this.hovered,
      hoveredRow: this.hoveredRow,
      matches: this.matches,
      paths: this.paths,
      measured,
      measuredText: measured === null ? "" : showDuration(Math.abs(measured.endMs - measured.startMs)),
      showDuration,
      pointerPx: this.pointerPx,
    };
  }

  private workOnDensity(): void {
    const { scene } = this;
    const isGrowing = this.isLive && !scene.root.table.isEnded;
    const wanted = `${this.derivedVersion} ${scene.arrangement} ${isGrowing ? this.derivedAtMs : ""} ${this.camera.widthPx}`;
    if (this.densityMaker === null && this.densityVersion !== wanted) {
      const rows = Math.max(1, Math.min(scene.rowCount, MINIMAP_PX - 8));
      const { startFolded, foldedPerPx, widthPx } = this.strip;
      const stretch = { startFolded, endFolded: startFolded + widthPx * foldedPerPx };
      this.densityMaker = new DensityMaker(scene, this.nowMs, stretch, Math.ceil(widthPx), rows);
      this.densityVersion = wanted;
    }
    if (this.densityMaker === null) return;
    const done = this.densityMaker.work(SLICE);
    if (done !== null) {
      this.density = done;
      this.densityMaker = null;
      this.minimap.render(done, this.theme);
      this.paintMinimap();
    } else this.invalidate();
  }

  private tell(): void {
    const state = this.state();
    const told = JSON.stringify({ ...state, version: this.isLive ? this.derivedVersion : this.version });
    if (told === this.told) return;
    this.told = told;
    this.events.changed(state);
  }

  state(): ChartState {
    const { scene } = this;
    const { table } = scene.root;
    const sum = (count: (track: Track) => number) => [...scene.tracks()].reduce((total, one) => total + count(one), 0);
    return {
      arrangement: scene.arrangement,
      isFolding: scene.isFolding,
      gapCount: scene.scale.gaps.length,
      isPathShown: this.isPathShown,
      pathCount: sum((track) => this.paths?.get(track)?.spans.length ?? 0),
      isMeasuring: this.isMeasuring,
      following: this.following,
      isEnded: table.isEnded,
      matchCount: this.matches.count,
      matchPlace: this.matchPlace,
      measured: this.measureNow(),
      rowCount: scene.rowCount,
      spanCount: sum((track) => track.table.count),
      version: this.derivedVersion,
    };
  }

  /** Measuring looks at every span: once for each stretch and each state of the run. */
  private measureNow(): Measured | null {
    const { measured } = this;
    if (measured === null) return null;
    if (this.measurement?.of !== measured || this.measurement.version !== this.derivedVersion) {
      this.measurement = { of: measured, version: this.derivedVersion, is: measure(this.scene, measured, this.nowMs) };
    }
    return this.measurement.is;
  }

  /** While a run goes on, "now" moves: paint again when it has moved by half a pixel. */
  private planNext(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.isLive || this.scene.root.table.isEnded || document.hidden) return;
    // In a gap that is folded away time moves nothing but the durations.
    this.paintWithin(this.scene.isWaiting(this.nowMs) ? STILL_MS : Math.min(1000, this.stepMs));
  }

  /** How long "now" takes for half a pixel. */
  private get stepMs(): number {
    return this.camera.foldedPerPx / 2;
  }

  /** Paint in so many milliseconds, or earlier if something else wants it. */
  private paintWithin(ms: number): void {
    if (this.requested !== 0) return;
    const dueMs = performance.now() + ms;
    if (this.timer !== undefined && this.timerDueMs <= dueMs) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    if (ms < 20) this.invalidate();
    else {
      this.timerDueMs = dueMs;
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.invalidate();
      }, ms);
    }
  }

  /** Where an instant is on the canvas. */
  xOf(ms: number): number {
    return this.labelPx + toPx(this.view(), ms);
  }
}

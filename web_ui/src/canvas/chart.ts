/**
 * The chart: what the timeline shows just now, and the frame in which it is painted.
 *
 *     model (scene) ← shown ← Chart → eye, aim, strip, readings, growth, pacer → painter, minimap
 *
 * `input.ts` calls its verbs and those of its aim and strip; nobody else draws.
 *
 * 1. Every change only says `invalidate`; all drawing is in one place (`frame`), once a frame at most.
 * 2. What costs as much as the run is long (density, search, path, scale) is derived when the run or a choice changed,
 *    and while a run is followed in slices or a few times a second. A frame itself costs what is in sight.
 */

import { showDuration } from "../model/instants";
import type { LiveTrace } from "../model/live_trace";
import { type Bounds, type Camera, fitRange, panBy, revealRow, revealTime, zoomAt } from "../model/timeline_camera";
import { toMs, toPx, type View } from "../model/timeline_columns";
import type { Measured } from "../model/timeline_measure";
import type { Arrangement, Scene, SpanAt } from "../model/timeline_scene";
import { NONE, RUN } from "../model/timeline_spans";
import { Aim } from "./aim";
import { Crowds } from "./crowds";
import { Eye, type Following } from "./eye";
import { Growth } from "./growth";
import { MINIMAP_PX } from "./minimap";
import { Pacer } from "./pacer";
import { paint } from "./painter";
import { makePatterns, type Patterns } from "./patterns";
import { AXIS_PX, type Picture } from "./picture";
import { Readings } from "./readings";
import { Shown } from "./shown";
import type { Sight } from "./sight";
import { Strip } from "./strip";
import { Surface, watchRatio } from "./surface";
import { readTheme, type Theme, watchTheme } from "./theme";

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
  readonly searched: string;
  readonly matchCount: number;
  readonly matchPlace: number;
  readonly measured: Measured | null;
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
const DERIVE_MS = 400;
/** So many times as long as it took: the critical path of a hundred thousand calls is not found twice a second. */
const DERIVE_REST = 20;
const STILL_MS = 250;
/** How long a view has to stay until it is told of. */
const VIEWED_MS = 300;
/** How late news may be shown, where a pixel is so long that they would hardly be seen. */
const NEWS_MS = 200;
const LABEL_PX = 260;
const NARROWEST_LABEL_PX = 120;
/** Of a narrow chart names get this share at most. */
const LABEL_SHARE = 0.6;
/** From so many calls on a row each is a picture of nothing: such a run is first shown by names. */
const MANY_CALLS = 400;

export class Chart implements Sight {
  readonly shown: Shown;
  readonly eye: Eye;
  readonly aim: Aim;
  selected: SpanAt | null = null;
  isLive = false;

  private readonly surface: Surface;
  readonly strip: Strip;
  /** How wide the column of names was made; a narrow chart has it narrower. */
  private wantedLabelPx = LABEL_PX;
  private readonly crowds = new Crowds();
  private readonly readings: Readings;
  private readonly growth = new Growth();
  private readonly pacer = new Pacer((timeMs) => this.frame(timeMs));
  private readonly undo: (() => void)[] = [];
  theme: Theme;
  private patterns: Patterns;
  /** Grows with every change of the run or of a choice; `derivedVersion` is the one that pictures are of. */
  private version = 0;
  private derivedVersion = -1;
  private derivedAtMs = 0;
  private deriveTookMs = 0;
  private hasBegun = false;
  private isStripDue = true;
  private told = "";
  private viewTold: string | null = null;
  private viewTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly parts: ChartParts,
    live: LiveTrace,
    private readonly events: ChartEvents,
    private readonly nowUs: () => number = () => Date.now() * 1000,
    /** What is shown at first, as `viewed` told it. */
    private firstView: string | null = null,
  ) {
    this.shown = new Shown(live, {
      edged: (track, sinceMs) => this.growth.since(track, sinceMs),
      grew: () => this.grew(),
      marked: () => {
        this.growth.all();
        this.grew();
      },
      anew: (renew) => this.rebuild(renew),
    });
    if (this.scene.root.table.count > MANY_CALLS) this.scene.arrangement = "names";
    this.readings = new Readings(this.scene);
    this.eye = new Eye(
      () => this.bounds(),
      () => this.isGrowing,
    );
    this.surface = new Surface(parts.chart);
    this.strip = new Strip(this, parts.minimap);
    this.aim = new Aim(this, (at, xPx, yPx) => this.events.hovered(at, xPx, yPx));
    this.theme = readTheme(parts.frame);
    this.patterns = makePatterns(this.surface.context, this.theme, 1);
    this.undo.push(watchTheme(() => this.restyle()));
    this.undo.push(watchRatio(() => this.resize()));
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(parts.frame);
    this.undo.push(() => observer.disconnect());
    this.resize();
  }

  dispose(): void {
    this.pacer.stop();
    clearTimeout(this.viewTimer);
    for (const undo of this.undo) undo();
    this.shown.stop();
  }

  get scene(): Scene {
    return this.shown.scene;
  }

  // -- what is shown

  /** News of the run: it is painted when it has moved anything by half a pixel. */
  private grew(): void {
    this.version++;
    // A thousand events a second are not a thousand pictures.
    this.pacer.within(Math.min(NEWS_MS, this.stepMs));
  }

  /** The run was read anew: camera, what is open and what is selected stay. */
  private rebuild(renew: () => void): void {
    const selectedId = this.selected === null ? null : this.scene.idOf(this.selected);
    const isAtBottom = this.scene.rowCount > 0 && this.eye.isAtBottom();
    renew();
    this.selected = selectedId === null ? null : this.scene.find(selectedId);
    this.readings.renew(this.scene);
    this.addRows(isAtBottom);
    this.touch();
  }

  openChild(at: SpanAt, live: LiveTrace): void {
    this.shown.openChild(at, live);
    this.touch();
  }

  closeChild(at: SpanAt): void {
    this.shown.closeChild(at);
    this.touch();
  }

  // -- choices

  arrange(arrangement: Arrangement): void {
    this.scene.arrangement = arrangement;
    this.scene.arrange();
    this.eye.goToRow(0);
    this.touch();
    if (this.selected !== null) this.reveal(this.selected);
  }

  foldGaps(isFolding: boolean): void {
    this.scene.isFolding = isFolding;
    this.touch();
  }

  showPath(isShown: boolean): void {
    this.readings.isPathShown = isShown;
    this.touch();
  }

  search(text: string): void {
    this.readings.search(text);
    this.invalidate();
  }

  /** Go to the next match, or the one before. */
  seek(direction: 1 | -1): void {
    const found = this.readings.seek(this.selected, direction);
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
      if (found !== null) this.select(found, false);
    }
    this.invalidate();
  }

  /** Go to the next call, or the one before. */
  step(direction: 1 | -1): void {
    const { scene, selected } = this;
    scene.arrange();
    if (selected === null) this.selectRow(Math.round(this.eye.camera.topPx / this.rowPx));
    else if (scene.arrangement === "calls") this.selectRow(scene.rowOf(selected) + direction);
    else {
      const span = selected.span + direction;
      if (span >= RUN && span < selected.track.table.count) this.select({ track: selected.track, span });
    }
  }

  private selectRow(number: number): void {
    const row = this.scene.rowAt(number);
    if (row !== null) this.select({ track: row.track, span: row.kind === "span" ? row.span : row.lane.spans[0]! });
  }

  openSelected(): void {
    if (this.selected !== null) this.events.opened(this.selected);
  }

  toggle(at: SpanAt): void {
    this.events.toggled(at);
  }

  toggleSelected(isOpening: boolean): void {
    const at = this.selected;
    if (at === null || at.track.table.kindOf(at.span) !== "child") return;
    if (at.track.children.has(at.span) !== isOpening) this.events.toggled(at);
  }

  /** Leave what was begun last: a measure, a search, the selection. */
  escape(): void {
    if (this.aim.isMeasuring || this.aim.measured !== null) this.aim.setMeasuring(false);
    else if (!this.readings.matches.isEmpty) this.search("");
    else if (this.selected !== null) this.select(null);
  }

  // -- moving

  get rowPx(): number {
    return ROW_PX[this.scene.arrangement];
  }

  /** Zoom around a pixel of the chart; none: around the pointer, or the middle. */
  zoom(factor: number, xPx: number | null = null, isGliding = false): void {
    const px = xPx ?? this.aim.pointerPx?.x ?? this.eye.camera.widthPx / 2;
    this.move(zoomAt(this.eye.target, px, factor), isGliding);
  }

  pan(rightPx: number, downPx: number, isGliding = false): void {
    this.move(panBy(this.eye.target, rightPx, downPx), isGliding);
  }

  fit(): void {
    this.eye.fit();
    this.invalidate();
  }

  /** Show a span with some room around it; none is selected: everything. */
  fitSelected(): void {
    if (this.selected === null) {
      this.fit();
      return;
    }
    const { startFolded, endFolded } = this.stretchOf(this.selected);
    const roomFolded = Math.max((endFolded - startFolded) * 0.08, this.eye.camera.foldedPerPx * 1e-3, 1e-4);
    this.move(fitRange(this.eye.target, startFolded - roomFolded, endFolded + roomFolded), true);
  }

  fitPixels(fromPx: number, toEndPx: number): void {
    const { startFolded, foldedPerPx } = this.eye.camera;
    const [from, to] = fromPx < toEndPx ? [fromPx, toEndPx] : [toEndPx, fromPx];
    this.move(fitRange(this.eye.camera, startFolded + from * foldedPerPx, startFolded + to * foldedPerPx), true);
  }

  follow(following: Following): void {
    this.eye.follow(following);
    this.invalidate();
  }

  move(camera: Camera, isGliding = false): void {
    this.eye.move(camera, isGliding);
    this.invalidate();
  }

  private reveal(at: SpanAt): void {
    this.scene.arrange();
    const row = this.scene.rowOf(at);
    const { startFolded, endFolded } = this.stretchOf(at);
    const camera = revealTime(this.eye.target, startFolded, endFolded);
    this.move(row === NONE ? camera : revealRow(camera, row, this.rowPx), true);
  }

  private stretchOf({ track, span }: SpanAt): { startFolded: number; endFolded: number } {
    const { scale } = this.scene;
    const { table, shiftMs } = track;
    const endMs = table.reachMs(span, this.nowMs - shiftMs) + shiftMs;
    return { startFolded: scale.fold(table.startMs[span]! + shiftMs), endFolded: scale.fold(endMs) };
  }

  resizeLabels(widthPx: number): void {
    this.wantedLabelPx = Math.round(Math.max(widthPx, NARROWEST_LABEL_PX));
    this.resize();
  }

  get labelPx(): number {
    return Math.min(this.wantedLabelPx, Math.round(this.surface.widthPx * LABEL_SHARE));
  }

  // -- the frame

  invalidate(): void {
    this.growth.all();
    this.pacer.now();
  }

  /** Nothing moves, and nothing waits to be painted. */
  get isResting(): boolean {
    return this.pacer.isResting && !this.eye.isGliding;
  }

  /** Something that pictures are derived from is another. */
  private touch(): void {
    this.version++;
    this.invalidate();
  }

  private restyle(): void {
    this.theme = readTheme(this.parts.frame);
    this.patterns = makePatterns(this.surface.context, this.theme, this.surface.ratio);
    this.strip.restyle();
    this.invalidate();
  }

  private resize(): void {
    const box = this.parts.frame.getBoundingClientRect();
    const widthPx = Math.max(1, Math.floor(box.width));
    const heightPx = Math.max(1, Math.floor(box.height - MINIMAP_PX));
    const ratio = this.surface.ratio;
    this.surface.resize(widthPx, heightPx);
    this.strip.resize(widthPx);
    if (this.surface.ratio !== ratio || this.version === 0) {
      this.patterns = makePatterns(this.surface.context, this.theme, this.surface.ratio);
    }
    this.eye.resize(Math.max(1, widthPx - this.labelPx), Math.max(1, heightPx - AXIS_PX));
    // A new size clears a canvas: paint now, or a frame would be empty.
    this.growth.all();
    if (this.hasBegun) this.paintNow();
    this.touch();
  }

  /** The run goes on, and is followed. */
  private get isGrowing(): boolean {
    return this.isLive && !this.scene.root.table.isEnded;
  }

  get nowMs(): number {
    const { table } = this.scene.root;
    let nowMs = this.isLive ? (this.nowUs() - table.createdUs) / 1000 : 0;
    for (const track of this.scene.tracks()) nowMs = Math.max(nowMs, track.table.lastMs + track.shiftMs);
    return nowMs;
  }

  view(): View {
    return { camera: this.eye.camera, scale: this.scene.scale, nowMs: this.nowMs };
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
    this.derive(timeMs);
    if (!this.hasBegun) this.begin();
    this.eye.advance(timeMs);
    if (this.eye.isGliding) this.invalidate();
    if (this.aim.look()) this.growth.all();
    const isWhole = this.paintNow();
    // A frame that painted everything has done enough; the next one can go on with the strip.
    this.isStripDue = !(isWhole && this.isGrowing && this.isStripDue);
    if (!this.isStripDue || this.workOnStrip()) this.pacer.now();
    this.tell();
    this.planView();
    this.planNext();
  }

  /** Bring up to date what depends on the whole run: at once, or a few times a second while it grows. */
  private derive(timeMs: number): void {
    const { scene } = this;
    if (scene.rowCount === 0) scene.arrange();
    else this.addRows(this.eye.isAtBottom());
    const isDue = timeMs - this.derivedAtMs >= Math.max(DERIVE_MS, DERIVE_REST * this.deriveTookMs);
    const isStale = this.derivedVersion !== this.version;
    if (this.isGrowing && this.hasBegun ? isDue : isStale) {
      this.derivedVersion = this.version;
      this.derivedAtMs = timeMs;
      const beganMs = performance.now();
      this.rescale();
      if (this.readings.renew(scene)) this.growth.all();
      this.deriveTookMs = performance.now() - beganMs;
    } else if (this.isGrowing && scene.isWaiting(this.nowMs)) this.rescale();
  }

  /** Rows of new calls; who looks at the last ones while following goes on seeing them. */
  private addRows(isAtBottom: boolean): void {
    const { scene } = this;
    const rows = scene.rowCount;
    scene.arrange();
    if (scene.rowCount <= rows || !isAtBottom || !this.isLive || this.eye.following === "off") return;
    this.eye.goToRow(Math.max(0, this.bounds().contentPx - this.eye.camera.heightPx));
  }

  private rescale(): void {
    const before = this.scene.scale;
    this.scene.rescale(this.nowMs, this.isGrowing);
    this.eye.rescale(before, this.scene.scale);
  }

  /** The first picture: everything, or what a link says. */
  private begin(): void {
    const [fromMs, toEndMs] = (this.firstView ?? "").split("~").map(Number);
    const isStretch = fromMs !== undefined && toEndMs !== undefined && toEndMs > fromMs;
    this.eye.start(isStretch ? { fromMs, toMs: toEndMs } : null, this.scene.scale);
    this.viewTold = this.firstView;
    this.firstView = null;
    this.hasBegun = true;
  }

  /** Paint everything, or what has grown; tells whether it was everything. */
  private paintNow(): boolean {
    const fromPx = this.fromPixel(this.growth.take(this.view(), this.scene.rowCount));
    paint(this.surface.begin(fromPx === 0), this.picture(fromPx));
    this.strip.paint();
    return fromPx === 0;
  }

  /** While a run grows, so does what the strip stands for. */
  private workOnStrip(): boolean {
    return this.strip.work(`${this.derivedVersion} ${this.isGrowing ? this.derivedAtMs : 0}`);
  }

  /** Where a part may begin: at a pixel of the screen, or its edge would mix two pictures. */
  private fromPixel(px: number): number {
    const { ratio } = this.surface;
    if (!Number.isInteger(this.labelPx * ratio)) return 0;
    return Math.floor(px * ratio) / ratio;
  }

  private picture(fromPx: number): Picture {
    const { aim, readings } = this;
    const { measured } = aim;
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
      fromPx,
      selected: this.selected,
      hovered: aim.hovered,
      hoveredRow: aim.hoveredRow,
      matches: readings.matches,
      paths: readings.paths,
      measured,
      measuredText: measured === null ? "" : showDuration(Math.abs(measured.endMs - measured.startMs)),
      showDuration,
      pointerPx: aim.pointerPx,
    };
  }

  private tell(): void {
    const state = this.state();
    const told = JSON.stringify(state);
    if (told === this.told) return;
    this.told = told;
    this.events.changed(state);
  }

  state(): ChartState {
    const { scene, readings, derivedVersion } = this;
    return {
      arrangement: scene.arrangement,
      isFolding: scene.isFolding,
      gapCount: scene.scale.gaps.length,
      isPathShown: readings.isPathShown,
      pathCount: readings.pathCount(),
      isMeasuring: this.aim.isMeasuring,
      following: this.eye.following,
      isEnded: scene.root.table.isEnded,
      searched: readings.matches.text,
      matchCount: readings.matches.count,
      matchPlace: readings.matchPlace,
      measured: readings.measure(this.aim.measured, derivedVersion, this.nowMs),
      spanCount: [...scene.tracks()].reduce((sum, track) => sum + track.table.count, 0),
      version: derivedVersion,
    };
  }

  /** Tell which stretch is shown, once it stays. */
  private planView(): void {
    const { camera } = this.eye;
    const edges = [0, camera.widthPx].map((px) => toMs(this.view(), px));
    const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(camera.foldedPerPx))));
    const view = this.eye.isAll() ? null : edges.map((ms) => Number(ms.toFixed(decimals))).join("~");
    if (view === this.viewTold) return;
    this.viewTold = view;
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => this.events.viewed(view), VIEWED_MS);
  }

  /** While a run goes on, "now" moves: paint again when it has moved by half a pixel. */
  private planNext(): void {
    if (!this.isGrowing) return;
    // In a gap that is folded away time moves nothing but the durations.
    this.pacer.within(this.scene.isWaiting(this.nowMs) ? STILL_MS : Math.min(1000, this.stepMs));
  }

  /** How long "now" takes for half a pixel. */
  private get stepMs(): number {
    return this.eye.camera.foldedPerPx / 2;
  }

  /** Where an instant is on the canvas. */
  xOf(ms: number): number {
    return this.labelPx + toPx(this.view(), ms);
  }
}

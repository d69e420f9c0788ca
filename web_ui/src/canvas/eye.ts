/**
 * The eye: where the camera is, where it glides to, and whether it follows a run that goes on.
 *
 * 1. Whoever asks for a move builds on where the eye is going (`target`), so that keys pressed fast add up.
 * 2. `all` keeps the whole run in sight, `end` the present width at its end: also when it has ended, since its last news
 *    may come after that is known. Who moves away is left alone, who comes back to the end of one that goes on follows again.
 */

import {
  type Bounds,
  type Camera,
  clampCamera,
  endFolded,
  fitAll,
  fitRange,
  isNear,
  mixCameras,
} from "../model/timeline_camera";
import type { TimeScale } from "../model/timeline_scale";

export type Following = "all" | "end" | "off";

const GLIDE_MS = 140;
/** Where "now" is while the end is followed: what comes next has some room. */
const NOW_SHARE = 0.95;

export class Eye {
  camera: Camera = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx: 1, heightPx: 1 };
  following: Following = "all";
  private glide: { from: Camera; to: Camera; startMs: number } | null = null;

  constructor(
    private readonly bounds: () => Bounds,
    private readonly isGrowing: () => boolean,
  ) {}

  get target(): Camera {
    return this.glide?.to ?? this.camera;
  }

  get isGliding(): boolean {
    return this.glide !== null;
  }

  /** The camera that shows everything: what the minimap shows, too. */
  get everything(): Camera {
    return fitAll(this.camera, this.bounds());
  }

  move(camera: Camera, isGliding = false): void {
    const to = clampCamera(camera, this.bounds());
    if (isGliding && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.glide = { from: this.camera, to, startMs: performance.now() };
    } else {
      this.glide = null;
      this.camera = to;
    }
    this.following = this.isGrowing() && endFolded(to) >= this.bounds().endFolded ? "end" : "off";
  }

  fit(): void {
    this.move(fitAll(this.target, this.bounds()), true);
    this.following = "all";
  }

  follow(following: Following): void {
    this.following = following;
    if (following === "end") this.goToEnd();
  }

  /** Begin with a stretch of time, or with everything. */
  start(stretch: { fromMs: number; toMs: number } | null, scale: TimeScale): void {
    this.glide = null;
    this.following = stretch === null ? "all" : "off";
    const { fromMs, toMs } = stretch ?? { fromMs: 0, toMs: 0 };
    const camera = stretch === null ? this.everything : fitRange(this.camera, scale.fold(fromMs), scale.fold(toMs));
    this.camera = clampCamera(camera, this.bounds());
  }

  /** Take another size; the same stretch of time stays in sight. */
  resize(widthPx: number, heightPx: number): void {
    const sized = (camera: Camera): Camera => {
      return { ...camera, widthPx, heightPx, foldedPerPx: (camera.foldedPerPx * camera.widthPx) / widthPx };
    };
    this.camera = sized(this.camera);
    // Who selects a call sees the details open beside the chart while that glides to it: it goes on gliding.
    if (this.glide !== null) this.glide = { ...this.glide, from: sized(this.glide.from), to: sized(this.glide.to) };
  }

  /** The axis is another: what is at the edges of the picture stays there. */
  rescale(before: TimeScale, after: TimeScale): void {
    if (before === after) return;
    const anchor = (camera: Camera): Camera => {
      const startFolded = after.fold(before.unfold(camera.startFolded));
      return fitRange(camera, startFolded, after.fold(before.unfold(endFolded(camera))));
    };
    this.camera = anchor(this.camera);
    if (this.glide !== null) this.glide = { ...this.glide, from: anchor(this.glide.from), to: anchor(this.glide.to) };
  }

  /** Whether the last row is in sight. */
  isAtBottom(): boolean {
    return this.camera.topPx >= this.bounds().contentPx - this.camera.heightPx - 1;
  }

  goToRow(topPx: number): void {
    this.camera = { ...this.camera, topPx };
  }

  /** Go to where it is at an instant of the page's clock. */
  advance(timeMs: number): void {
    if (this.glide !== null) {
      const progress = Math.max(0, (timeMs - this.glide.startMs) / GLIDE_MS);
      this.camera = mixCameras(this.glide.from, this.glide.to, progress);
      if (progress >= 1) this.glide = null;
    } else if (this.following === "all") this.keepAll();
    else if (this.following === "end") this.goToEnd();
    this.camera = clampCamera(this.camera, this.bounds());
  }

  /** Whether everything is in sight, so that there is nothing to remember. */
  isAll(): boolean {
    return this.following !== "off" || Math.abs(this.camera.foldedPerPx / this.everything.foldedPerPx - 1) < 1e-6;
  }

  /** A hair more is no other picture. */
  private keepAll(): void {
    const { everything } = this;
    if (!isNear(this.camera, everything)) this.camera = everything;
  }

  private goToEnd(): void {
    const widthFolded = this.camera.widthPx * this.camera.foldedPerPx;
    this.camera = { ...this.camera, startFolded: this.bounds().endFolded - widthFolded * NOW_SHARE };
  }
}

/** The pacer: when the next picture is made. One a frame at most, and none that nobody asked for. */

/** What is due within a frame is due now: a timer would come later than the frame. */
const FRAME_MS = 20;

export class Pacer {
  private requested = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueMs = 0;

  constructor(private readonly frame: (timeMs: number) => void) {}

  /** Nothing is asked for, now or later. */
  get isResting(): boolean {
    return this.requested === 0;
  }

  /** Make a picture in the next frame. */
  now(): void {
    if (this.requested !== 0) return;
    this.requested = requestAnimationFrame((timeMs) => {
      this.requested = 0;
      this.forget();
      this.frame(timeMs);
    });
  }

  /** Make a picture in so many milliseconds, unless there is one earlier. */
  within(ms: number): void {
    if (this.requested !== 0) return;
    if (ms < FRAME_MS) {
      this.forget();
      this.now();
      return;
    }
    const dueMs = performance.now() + ms;
    if (this.timer !== undefined && this.dueMs <= dueMs) return;
    this.forget();
    this.dueMs = dueMs;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.now();
    }, ms);
  }

  stop(): void {
    cancelAnimationFrame(this.requested);
    this.forget();
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

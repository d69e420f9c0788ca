/** What the parts of a chart know of it: what is shown, from where, and in which colours. */

import type { Bounds, Camera } from "../model/timeline_camera";
import type { View } from "../model/timeline_columns";
import type { Scene } from "../model/timeline_scene";
import type { Eye } from "./eye";
import type { Theme } from "./theme";

export interface Sight {
  readonly scene: Scene;
  readonly eye: Eye;
  readonly theme: Theme;
  readonly labelPx: number;
  readonly rowPx: number;
  readonly nowMs: number;
  view(): View;
  bounds(): Bounds;
  move(camera: Camera): void;
  /** Everything is to be painted in the next frame. */
  invalidate(): void;
}

import { describe, expect, it } from "vitest";
import { type Camera, fitAll, isNear } from "./timeline_camera";

const CAMERA: Camera = { startFolded: 0, foldedPerPx: 1, topPx: 0, widthPx: 1000, heightPx: 500 };

function all(endFolded: number): Camera {
  return fitAll(CAMERA, { startFolded: 0, endFolded, contentPx: 0 });
}

describe("a camera that keeps a growing run in sight", () => {
  it("shows the same until the run has grown by three pixels", () => {
    expect(isNear(all(10_000), all(10_025))).toBe(true);
    expect(isNear(all(10_000), all(10_035))).toBe(false);
    expect(isNear(all(10_035), all(10_000))).toBe(false);
  });

  it("shows something else when it is moved, scrolled or of another size", () => {
    const camera = all(10_000);
    expect(isNear(camera, { ...camera })).toBe(true);
    expect(isNear(camera, { ...camera, startFolded: camera.startFolded + 4 * camera.foldedPerPx })).toBe(false);
    expect(isNear(camera, { ...camera, topPx: 1 })).toBe(false);
    expect(isNear(camera, { ...camera, widthPx: 999 })).toBe(false);
    expect(isNear(camera, { ...camera, heightPx: 501 })).toBe(false);
  });
});

import { expect, test } from "vitest";
import { endFolded } from "../model/timeline_camera";
import { Eye } from "./eye";

function begin() {
  const run = { isGrowing: true, lengthMs: 100 };
  const eye = new Eye(
    () => ({ startFolded: 0, endFolded: run.lengthMs, contentPx: 100 }),
    () => run.isGrowing,
  );
  eye.resize(1000, 100);
  eye.following = "all";
  eye.advance(0);
  return { run, eye };
}

test("what comes with the end of a run, or right after it, is in sight like all before", () => {
  const { run, eye } = begin();
  run.isGrowing = false;
  run.lengthMs = 700;
  eye.advance(16);
  expect(endFolded(eye.camera)).toBeGreaterThan(700);
  run.lengthMs = 900;
  eye.advance(32);
  expect(endFolded(eye.camera)).toBeGreaterThan(900);
});

test("who moved in a run that has ended is left alone", () => {
  const { run, eye } = begin();
  run.isGrowing = false;
  eye.move({ ...eye.camera, foldedPerPx: eye.camera.foldedPerPx / 10 });
  const { camera } = eye;
  run.lengthMs = 110;
  eye.advance(16);
  expect(eye.camera).toEqual(camera);
});

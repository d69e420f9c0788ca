import { defineConfig } from "vitest/config";

export default defineConfig({
  // What hangs is ended; how quick anything is on a machine that does other things too is not asserted.
  test: { include: ["src/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});

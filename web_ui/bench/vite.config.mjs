import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// The bench page, built like the studio and under its CSP; `BENCH_OUT` says where to.
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  build: {
    outDir: process.env.BENCH_OUT ?? "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    minify: process.env.BENCH_MINIFY !== "no",
    rollupOptions: { input: fileURLToPath(new URL("timeline.html", import.meta.url)) },
  },
});

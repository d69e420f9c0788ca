import { defineConfig } from "vite";

// The page is served under a CSP without inline script or style: nothing is inlined into index.html, and
// no asset becomes a `data:` URL. Every file's name holds its hash, since the server lets browsers keep them.
export default defineConfig({
  base: "/",
  publicDir: false,
  build: {
    outDir: "../wfstudio/_web_ui",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    sourcemap: false,
    reportCompressedSize: false,
  },
});

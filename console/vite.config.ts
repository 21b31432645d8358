/** How the page is built, and, for those who work at it, served beside a running server. */
import { defineConfig } from "vite";

/** The server whose data the page shows while it is worked at. */
const SERVER = process.env.STOCK_DB_URL ?? "http://127.0.0.1:8080";
const DOORS = [
  "/v1",
  "/db_command",
  "/ws",
  "/metrics",
  "/stats",
  "/health",
  "/ready",
  "/openapi.json",
  "/api",
];

export default defineConfig({
  // Relative, as a proxy may serve the server below a path of its own.
  base: "./",
  // In place of the nonce of an answer, which the server puts there.
  html: { cspNonce: "NONCE" },
  build: {
    // The folder of the files is that of their URLs: /console/….
    assetsDir: "console",
    // A file of its own can be kept by the browser; a data URL is what the policy would have to allow.
    assetsInlineLimit: 0,
    target: "es2022",
    // Each knows light-dark().
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // To read a signal is to follow it, also where its value isn't used.
    rolldownOptions: { treeshake: { propertyReadSideEffects: "always" } },
    license: { fileName: "console/licenses.md" },
  },
  server: {
    proxy: Object.fromEntries(
      DOORS.map((path) => [path, { target: SERVER, ws: path === "/ws", changeOrigin: true }]),
    ),
  },
});

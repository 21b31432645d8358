/**
 * Builds the console's page: `console/` becomes `console/dist`, which the server serves. npm runs
 * this after `npm ci` and before `npm pack`; by hand it is `npm run build:console`.
 *
 * Plain JavaScript for Node, as that is all that is sure to be there when npm runs it. Without Vite,
 * as after `npm ci --omit=dev`, what was built before stays as it is.
 */
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const CONSOLE = join(dirname(fileURLToPath(import.meta.url)), "../console");
const DIST = join(CONSOLE, "dist");
/** Only texts: a browser that takes the packed form is quicker to read it. */
const PACKED = /\.(js|css|svg|md)$/;
/** Smaller ones fit into one packet anyway. */
const PACKED_FROM = 1_024;

const vite = await loadVite();
if (vite !== null) await build(vite);
else if (existsSync(DIST)) console.log("The console stays as it was built: Vite isn't installed.");
else console.log("The console isn't built: Vite isn't installed. npm ci --include=dev installs it.");

async function loadVite() {
  try {
    return await import("vite");
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** Beside the old one, so that a server finds either of them whole. */
async function build({ build: bundle }) {
  const fresh = join(CONSOLE, `.building-${process.pid}`);
  const old = `${fresh}-old`;
  try {
    await bundle({
      root: CONSOLE,
      configFile: join(CONSOLE, "vite.config.ts"),
      logLevel: "warn",
      build: { outDir: fresh, emptyOutDir: true },
    });
    const assets = join(fresh, "console");
    appendFileSync(join(assets, "licenses.md"), `\n${readFileSync(join(CONSOLE, "NOTICE"), "utf8")}`);
    for (const name of readdirSync(assets)) if (PACKED.test(name)) pack(join(assets, name));
    if (existsSync(DIST)) renameSync(DIST, old);
    renameSync(fresh, DIST);
  } finally {
    for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  }
}

function pack(path) {
  const content = readFileSync(path);
  if (content.length < PACKED_FROM) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}

/**
 * Builds the console's page: `console/` becomes `console/dist`, which the server serves. npm runs
 * this after `npm ci` and before `npm pack`; by hand it is `npm run build:console`.
 *
 * Plain JavaScript for Node, as that is all that is sure to be there when npm runs it. Without Vite,
 * as after `npm ci --omit=dev`, what was built before stays as it is; `--if-possible`, as npm runs
 * it, takes that for no failure.
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
const REPLACE_TRIES = 5;

// Whatever runs this, such as a test: the page is the one for users.
process.env.NODE_ENV = "production";
try {
  await build(await loadVite());
} catch (error) {
  // What was installed is a server all the same, and the page says how it is built.
  const state = existsSync(DIST) ? "stays as it was built" : "isn't built";
  console.error(`The console ${state}: ${error.message}`);
  if (!process.argv.includes("--if-possible")) process.exitCode = 1;
}

async function loadVite() {
  try {
    return await import("vite");
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new Error("Vite isn't installed; npm ci --include=dev installs it");
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
    replaceWith(fresh, old);
  } finally {
    for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  }
}

/** Another one may build at the same time: then either's is the newest. */
function replaceWith(fresh, old) {
  for (let tries = 1; ; tries++) {
    if (existsSync(DIST)) renameSync(DIST, old);
    try {
      renameSync(fresh, DIST);
      return;
    } catch (error) {
      if (error.code !== "ENOTEMPTY" || tries === REPLACE_TRIES) throw error;
      rmSync(old, { recursive: true, force: true });
    }
  }
}

function pack(path) {
  const content = readFileSync(path);
  if (content.length < PACKED_FROM) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}

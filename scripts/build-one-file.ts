/**
 * Builds the server as one file out of this folder and its node_modules: `bun
 * scripts/build-one-file.ts [PATH] [--platform NAME]`, by default dist/stock-db-server for this
 * machine.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildOneFile } from "./release/build-one-file.ts";
import { hostPlatform, platformNamed } from "./release/platforms.ts";

const root = join(import.meta.dir, "..");
const { values, positionals } = parseArgs({
  options: { platform: { type: "string" } },
  allowPositionals: true,
});
const platform = values.platform === undefined ? hostPlatform() : platformNamed(values.platform);
const outfile = resolve(positionals[0] ?? join(root, "dist/stock-db-server"));
// Paths as seen from the current folder would get into the file.
process.chdir(root);
await buildOneFile({ root, platform, outfile });
console.log(outfile);

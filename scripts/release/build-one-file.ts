/** Builds the server with Bun, its sample and DuckDB as one file that needs nothing beside it. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { BunPlugin } from "bun";
import { PACKED_FOLDER, type PackedFile } from "../../src/installation/packed-files.ts";
import type { Platform } from "./platforms.ts";

/** The bytes of the file depend on the name that it is built under. */
const NAME = "stock-db-server";
/** Beside main.ts, the modules that are started as threads. */
const ENTRIES = ["src/main.ts", "src/storage/postgres/statement-thread.ts"];
const DUCKDB_FILES = ["duckdb.node", "libduckdb.so"];
/** A third of the size. A higher level takes seconds more, for a tenth less. */
const ZSTD_LEVEL = 3;

export interface OneFileBuild {
  /** The folder of package.json, with the platform's packages in its node_modules. */
  root: string;
  platform: Platform;
  /** Its folder is made; a file that is there is replaced, also one that runs. */
  outfile: string;
}

/**
 * The same input gives the same bytes, in whatever folder.
 *
 * @throws Error what is missing, or is of another version.
 */
export async function buildOneFile({ root, platform, outfile }: OneFileBuild): Promise<void> {
  await checkBun(root);
  mkdirSync(dirname(outfile), { recursive: true });
  const folder = mkdtempSync(join(dirname(outfile), ".building-"));
  try {
    const packed = join(folder, PACKED_FOLDER);
    copyConsole(root, folder);
    packDuckDb(join(root, "node_modules", platform.duckdbPackage), join(packed, "duckdb"));
    await Bun.build({
      entrypoints: ENTRIES.map((entry) => join(root, entry)),
      root,
      target: "bun",
      // Each process loads the modules of its role alone, as from source.
      splitting: true,
      plugins: [packedBindings(root)],
      // Else the folder of a package would be the one that it was built in.
      define: { __dirname: '"/"', __filename: '"/"' },
      compile: {
        outfile: join(folder, NAME),
        target: platform.target,
        ...runtimeOf(root, platform),
        assets: [join(root, "sample"), packed, join(folder, "console")],
        // What lies in the folder in which somebody starts the server has no say in what it does.
        autoloadDotenv: false,
        autoloadBunfig: false,
      },
    });
    renameSync(join(folder, NAME), outfile);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As a folder of its own, since an asset keeps the last name of its path alone. */
function copyConsole(root: string, folder: string): void {
  const dist = join(root, "console/dist");
  if (!existsSync(dist)) throw new Error(`${dist}: not found; npm run build:console makes it`);
  cpSync(dist, join(folder, "console/dist"), { recursive: true });
}

/** Another Bun bundles in another way. */
async function checkBun(root: string): Promise<void> {
  const { version } = await Bun.file(join(root, "node_modules/bun/package.json")).json();
  if (version !== Bun.version)
    throw new Error(`expected Bun ${version}, that of package.json, got ${Bun.version}`);
}

/** Bun's install script moves the program of this machine away; the Bun that runs is that one. */
function runtimeOf(root: string, { bunPackage, name }: Platform): { executablePath?: string } {
  const executablePath = join(root, "node_modules", bunPackage, "bin/bun");
  if (existsSync(executablePath)) return { executablePath };
  if (name === `${process.platform}-${process.arch}`) return {};
  throw new Error(`${executablePath}: not found; it comes with npm ci and the flags of ${name}`);
}

function packDuckDb(from: string, to: string): void {
  if (!existsSync(from)) throw new Error(`${from}: not found; npm ci must not omit optional packages`);
  mkdirSync(to, { recursive: true });
  const files = DUCKDB_FILES.map((name): PackedFile => {
    const content = readFileSync(join(from, name));
    writeFileSync(join(to, `${name}.zst`), Bun.zstdCompressSync(content, { level: ZSTD_LEVEL }));
    return { name, bytes: content.length, sha256: Bun.SHA256.hash(content, "hex") };
  });
  writeFileSync(join(to, "files.json"), JSON.stringify(files));
}

/** The package `@duckdb/node-bindings` looks for its files in folders, which one file hasn't. */
function packedBindings(root: string): BunPlugin {
  const loader = join(root, "src/storage/duckdb/packed-bindings.ts");
  return {
    name: "packed-bindings",
    setup(build) {
      build.onResolve({ filter: /^@duckdb\/node-bindings$/ }, ({ path }) => ({ path, namespace: "packed" }));
      build.onLoad({ filter: /./, namespace: "packed" }, () => ({
        contents: `module.exports = require(${JSON.stringify(loader)}).loadBindings();`,
        loader: "js",
      }));
    },
  };
}

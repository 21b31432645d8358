/**
 * Builds everything of a release into an empty folder: the one file and its list of contents for
 * each platform, the npm package, the files of deploy/, and SHA256SUMS.
 *
 * `bun scripts/release.ts [--out DIR] [--platform NAME[,NAME]] [--draft]` builds what is committed,
 * under the version of package.json, which CHANGELOG.md must have. A draft is built of the files as
 * they are, whatever the changelog says.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { $ } from "bun";
import { messageOf } from "../src/protocol/message-of.ts";
import { PLATFORMS, type Platform, platformNamed } from "./release/platforms.ts";
import { sbomOf } from "./release/sbom.ts";

const PROJECT = join(import.meta.dir, "..");
$.cwd(PROJECT);

const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(PROJECT, "dist") },
    platform: { type: "string" },
    draft: { type: "boolean", default: false },
  },
});
const platforms = values.platform?.split(",").map(platformNamed) ?? PLATFORMS;
const out = resolve(values.out);
/** What isn't committed, or is installed here, has no say in what is built of this copy. */
const source = mkdtempSync(join(tmpdir(), "stock-db-release-"));
try {
  await release();
} catch (error) {
  console.error(`release: ${error instanceof $.ShellError ? error.stderr : messageOf(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(source, { recursive: true, force: true });
}

async function release(): Promise<void> {
  if (!values.draft) await checkTree();
  await copySource();
  const { name, version } = await Bun.file(join(source, "package.json")).json();
  if (!values.draft) checkChangelog(version);
  mkdirSync(out, { recursive: true });
  if (readdirSync(out).length > 0) throw new Error(`${out} isn't empty`);
  await buildConsole();
  for (const platform of platforms) await buildFor(platform, `${name}-${version}-${platform.name}`);
  await $`npm pack --silent --ignore-scripts --pack-destination ${out}`.cwd(source).quiet();
  await packDeploy(`${name}-${version}-deploy`);
  writeSums();
  console.log(readFileSync(join(out, "SHA256SUMS"), "utf8").trimEnd());
}

async function checkTree(): Promise<void> {
  const changed = (await $`git status --porcelain`.text()).trim();
  if (changed === "") return;
  throw new Error(`these files aren't committed:\n${changed}\nCommit them, or build a draft with --draft`);
}

function checkChangelog(version: string): void {
  const changelog = readFileSync(join(source, "CHANGELOG.md"), "utf8");
  if (changelog.includes(`\n## ${version}\n`)) return;
  throw new Error(`CHANGELOG.md has no section "## ${version}", the version of package.json`);
}

async function copySource(): Promise<void> {
  const listed = await (values.draft
    ? $`git ls-files -z --cached --others --exclude-standard`
    : $`git ls-files -z`
  ).text();
  for (const path of listed.split("\0")) {
    if (path === "" || !existsSync(join(PROJECT, path))) continue; // removed, in a draft
    mkdirSync(dirname(join(source, path)), { recursive: true });
    cpSync(join(PROJECT, path), join(source, path));
  }
}

/** Once for all: what runs in browsers is the same for each platform. */
async function buildConsole(): Promise<void> {
  console.log("the console: installs, builds");
  await $`npm ci --ignore-scripts --no-audit --no-fund`.cwd(source).quiet();
  await $`npm run build:console`.cwd(source).quiet();
}

async function buildFor(platform: Platform, fileName: string): Promise<void> {
  console.log(`${fileName}: installs, builds`);
  const path = join(out, fileName);
  await $`npm ci --omit=dev --ignore-scripts --no-audit --no-fund ${platform.npmFlags}`.cwd(source).quiet();
  await $`${process.execPath} --no-env-file scripts/build-one-file.ts ${path} --platform ${platform.name}`
    .cwd(source)
    .quiet();
  const sbom = sbomOf({
    ofPackages: await listPackages(),
    fileName,
    sha256: sha256Of(path),
    committedAt: new Date((await $`git log -1 --format=%cI`.text()).trim()),
    versions: process.versions,
  });
  writeFileSync(`${path}.cdx.json`, sbom);
}

/**
 * Those that are installed. Asked to leave out those of development, npm also leaves out what they
 * share with the others; and it refuses to list a package some of whose dependencies aren't there.
 */
async function listPackages(): Promise<string> {
  const path = join(source, "package.json");
  const whole = readFileSync(path, "utf8");
  const { devDependencies, ...others } = JSON.parse(whole);
  writeFileSync(path, JSON.stringify(others));
  try {
    return await $`npm sbom --sbom-format cyclonedx`.cwd(source).text();
  } finally {
    writeFileSync(path, whole);
  }
}

/** With times and owners that are the same wherever it is made. */
async function packDeploy(name: string): Promise<void> {
  const flags = [
    "--sort=name",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mtime=@0",
    "--mode=a+rX,u+w,go-w",
  ];
  const archive = join(out, `${name}.tar.gz`);
  await $`tar ${flags} --transform=s,^deploy,${name}, -cf - deploy | gzip -9n > ${archive}`.cwd(source);
}

/** As `sha256sum --check` reads them. */
function writeSums(): void {
  const lines = readdirSync(out)
    .sort()
    .map((file) => `${sha256Of(join(out, file))}  ${file}\n`);
  writeFileSync(join(out, "SHA256SUMS"), lines.join(""));
}

function sha256Of(path: string): string {
  return Bun.SHA256.hash(readFileSync(path), "hex");
}

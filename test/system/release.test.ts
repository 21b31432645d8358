/** scripts/release.ts, for this machine's platform. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { $ } from "bun";
import { version } from "../../package.json" with { type: "json" };
import { buildConsole } from "../support/build-console.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(300_000);

const PROJECT = join(import.meta.dir, "../..");
const RELEASE = join(PROJECT, "scripts/release.ts");

interface Sbom {
  serialNumber: string;
  metadata: { component: { name: string; version: string; hashes: { content: string }[] } };
  components: { "bom-ref": string; name: string; version: string; components?: { name: string }[] }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

test("a draft has all that is released, with sums that fit; the same source gives the same bytes", async () => {
  await buildConsole();
  using dir = tempDir();
  const platform = `${process.platform}-${process.arch}`;
  const out = join(dir.path, "out");
  const built = await $`${process.execPath} ${RELEASE} --draft --out ${out} --platform ${platform}`
    .cwd(dir.path)
    .nothrow()
    .quiet();
  expect([built.exitCode, built.stderr.toString()]).toEqual([0, ""]);
  const file = `stock-db-server-${version}-${platform}`;
  const expected = [
    "SHA256SUMS",
    `stock-db-server-${version}-deploy.tar.gz`,
    file,
    `${file}.cdx.json`,
    `stock-db-server-${version}.tgz`,
  ];
  expect(readdirSync(out).sort()).toEqual(expected.sort());
  const sums = await $`sha256sum --check SHA256SUMS`.cwd(out).text();
  expect(sums.match(/: OK$/gm)).toHaveLength(expected.length - 1);
  expect((await $`${join(out, file)} --version`.env({}).text()).trim()).toBe(version);

  const page = readFileSync(join(PROJECT, "docs/install.md"), "utf8");
  const lines = /## One file[\s\S]*?```sh\n([\s\S]*?)stock-db-server --sample\n```/.exec(page)![1]!;
  const pasted = lines.replaceAll("/usr/local/bin/", `${dir.path}/`);
  const env = { PATH: `${dir.path}:${process.env.PATH}` };
  expect(await $`sh -e -c ${pasted}`.cwd(out).env(env).text()).toEndWith(`OK\n${version}\n`);

  // Of another folder, and with the packages that are installed here.
  const again = join(dir.path, "again");
  await $`${process.execPath} ${join(PROJECT, "scripts/build-one-file.ts")} ${again}`.cwd(dir.path).quiet();
  expect(readFileSync(again).equals(readFileSync(join(out, file)))).toBe(true);

  checkSbom(JSON.parse(readFileSync(join(out, `${file}.cdx.json`), "utf8")) as Sbom, out, file);
  const packed = (await $`tar -tzf ${join(out, `stock-db-server-${version}.tgz`)}`.text()).split("\n");
  const shipped = [
    "bin/stock-db-server.js",
    "src/main.ts",
    "console/dist/index.html",
    "deploy/Dockerfile",
    "docs/install.md",
  ];
  for (const path of shipped) expect(packed).toContain(`package/${path}`);
  expect(
    packed.filter((path) => /\.test\.ts$|^package\/(test|scripts|dist|console\/src)\//.test(path)),
  ).toEqual([]);
  const archive = join(out, `stock-db-server-${version}-deploy.tar.gz`);
  const deploy = (await $`tar -tzf ${archive}`.text()).split("\n");
  expect(deploy).toContain(`stock-db-server-${version}-deploy/kubernetes/sqlite.yaml`);
});

/** Every dependency, with its version in package.json, and the runtime with its parts. */
function checkSbom(sbom: Sbom, out: string, file: string): void {
  const { name, version: told, hashes } = sbom.metadata.component;
  expect([name, told]).toEqual([file, version]);
  expect(readFileSync(join(out, "SHA256SUMS"), "utf8")).toContain(`${hashes[0]!.content}  ${file}\n`);
  const { dependencies } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  const { bun, ...packages } = dependencies as Record<string, string>;
  for (const [name, version] of Object.entries(packages))
    expect(sbom.components).toContainEqual(expect.objectContaining({ name, version }));
  expect(sbom.components.map((component) => component.name)).toContain(
    `@duckdb/node-bindings-${process.platform}-${process.arch}`,
  );
  expect(sbom.components.filter((component) => component.name === "typescript")).toEqual([]);
  const runtime = sbom.components.find((component) => component.name === "bun")!;
  expect(runtime.version).toBe(bun!);
  expect(runtime.components!.map((part) => part.name)).toContain("sqlite");
  const refs = sbom.components.map((component) => component["bom-ref"]);
  for (const { dependsOn } of sbom.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref);
}

test("a folder with changes, and a version that the changelog lacks, are refused", async () => {
  using dir = tempDir();
  const repository = join(dir.path, "repository");
  const run = () => $`${process.execPath} scripts/release.ts`.cwd(repository).nothrow().quiet();
  const needed = ["scripts", "src", "package.json"].map((path) => join(PROJECT, path));
  await $`mkdir ${repository} && cp -r ${needed} ${repository} && touch ${repository}/CHANGELOG.md`;
  await $`git init -q && git add -A && git -c user.name=a -c user.email=a@example.com commit -q -m a`.cwd(
    repository,
  );
  await Bun.write(join(repository, "CHANGELOG.md"), "# Changelog\n\n## Unreleased\n");
  const changed = await run();
  expect(changed.exitCode).toBe(1);
  expect(changed.stderr.toString()).toBe(
    "release: these files aren't committed:\nM CHANGELOG.md\nCommit them, or build a draft with --draft\n",
  );
  await $`git -c user.name=a -c user.email=a@example.com commit -q -a -m b`.cwd(repository);
  const lacking = await run();
  expect(lacking.exitCode).toBe(1);
  expect(lacking.stderr.toString()).toBe(
    `release: CHANGELOG.md has no section "## ${version}", the version of package.json\n`,
  );
  expect(readdirSync(repository)).not.toContain("dist");
});

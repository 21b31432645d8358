/** The image of deploy/Dockerfile: its steps, and what it runs as. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, canRunContainers, type Image, runContainer } from "../support/container.ts";
import { parseDockerfile } from "../support/dockerfile.ts";
import { readProc } from "../support/processes.ts";
import { runCli } from "../support/run-cli.ts";
import { waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

interface PodSpec {
  containers: [
    {
      args: string[];
      env: { name: string; value: string }[];
      volumeMounts: { name: string; mountPath: string }[];
    },
  ];
}

const PROJECT = join(import.meta.dir, "../..");
const DOCKERFILE = join(PROJECT, "deploy/Dockerfile");

test("it keeps no secret, and names the version of each base image", () => {
  const stages = parseDockerfile(readFileSync(DOCKERFILE, "utf8"));
  expect(stages.map(({ base }) => base)).toEqual(["node:22-bookworm-slim", "debian:bookworm-slim"]);
  const { instructions } = stages.at(-1)!;
  const env = instructions.filter(({ name }) => name === "ENV").flatMap(({ words }) => words);
  expect(env).toEqual(["HOME=/data", "STOCK_DB_HOST=0.0.0.0"]);
  expect(instructions.some(({ name }) => name === "ARG")).toBe(false);
});

if (!canRunContainers) console.log("the image isn't built: that needs root, and overlays of file systems");

describe.skipIf(!canRunContainers)("built and run", () => {
  const folder = mkdtempSync(join(tmpdir(), "stock-db-image-"));
  let image: Image;
  beforeAll(async () => {
    image = await buildImage(DOCKERFILE, PROJECT, folder);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("it has a user who isn't root, whose volume is closed to others, and nothing of the build", () => {
    expect(image.user).toBe("10001:10001");
    expect(image.volumes).toEqual(["/data"]);
    const data = statSync(join(image.files, "data"));
    expect([data.uid, data.gid, data.mode & 0o777]).toEqual([10001, 10001, 0o700]);
    const files = [...new Bun.Glob("**/*").scanSync({ cwd: image.files, dot: true })];
    expect(files).toEqual(["usr/local/bin/stock-db-server"]);
  });

  test("without a key it doesn't start, and says how to make one", async () => {
    using container = await runContainer(image);
    expect(await container.exited).toBe(1);
    expect(container.log()).toContain(
      "stock-db-server keys add NAME --may read,write --keys data/stock_data.db.keys",
    );
  });

  for (const file of ["/data/stock_data.db", "/data/stocks.duckdb"]) {
    test(`${file}: it serves as the first process; its health check tells; a stop ends it in order`, async () => {
      using keys = await runContainer(image, {
        command: ["keys", "add", "desk", "--may", "read", "--db-file", file],
      });
      expect(await keys.exited).toBe(0);
      using container = await runContainer(image, { env: { STOCK_DB_DB_FILE: file } });
      const { command } = image.health!;
      await waitUntil("it is healthy", async () => (await container.exec(command)) === 0);
      // All four: real, effective, saved and of the file system.
      expect(readProc(container.pid, "status")).toMatch(/^Uid:(\t10001){4}$/m);
      expect(readProc(container.pid, "status")).toMatch(/^NSpid:\t\d+\t1$/m);
      expect(statSync(join(image.files, file)).uid).toBe(10001);
      process.kill(container.pid, image.stopSignal);
      expect(await container.exited).toBe(0);
      expect(container.log()).toContain("Server has been shut down.");
    });
  }

  test("a pod of sqlite.yaml becomes ready on its read-only file system, and ends as it is told", async () => {
    const manifests = Bun.YAML.parse(readFileSync(join(PROJECT, "deploy/kubernetes/sqlite.yaml"), "utf8"));
    const [, { spec }] = manifests as [unknown, { spec: { template: { spec: PodSpec } } }];
    const [server] = spec.template.spec.containers;
    const mounts: Record<string, string> = {};
    for (const { name, mountPath } of server.volumeMounts) {
      mounts[mountPath] = join(folder, `volume-${name}`);
      mkdirSync(mounts[mountPath]);
      // As the kubelet makes them: open to all and without a sticky bit, but with the group's.
      chmodSync(mounts[mountPath], 0o2777);
    }
    const keys = join(mounts["/etc/stocks/keys"]!, "keys.json");
    expect((await runCli(["keys", "add", "desk", "--may", "read", "--keys", keys])).code).toBe(0);
    chmodSync(keys, 0o644);
    const env = Object.fromEntries(server.env.map(({ name, value }) => [name, value]));
    using pod = await runContainer(image, { env, command: server.args, mounts, isReadOnly: true });
    await waitUntil("it is ready", async () => (await pod.exec(image.health!.command)) === 0);
    await waitUntil("all workers serve", () => pod.log().includes("Serving on"));
    expect(pod.log()).not.toContain("WARNING");
    expect(readdirSync(mounts["/data"]!)).toContain("stock_data.db");
    process.kill(pod.pid, "SIGTERM");
    expect(await pod.exited).toBe(0);
  });

  test("its health check fails when nothing answers", async () => {
    using container = await runContainer(image, { env: { STOCK_DB_PORT: "8081" } });
    await waitUntil("it serves", () => container.log().includes("Server starting on"));
    expect(await container.exec(image.health!.command)).toBe(1);
    process.kill(container.pid, "SIGTERM");
    expect(await container.exited).toBe(0);
  });
});

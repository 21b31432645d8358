import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRuntimeDir, SOCKET_PATH_BYTES_MAX } from "./runtime-dir.ts";

setDefaultTimeout(120_000);

const base = mkdtempSync(join(tmpdir(), "runtime-dir-"));
afterAll(() => rmSync(base, { recursive: true }));

test("the folder is its user's alone and goes with remove", async () => {
  const dir = await createRuntimeDir({ XDG_RUNTIME_DIR: base });
  expect(dir.path.startsWith(join(base, "stock-db-server-"))).toBe(true);
  expect(statSync(dir.path).mode & 0o777).toBe(0o700);
  dir.remove();
  expect(existsSync(dir.path)).toBe(false);
});

test("a folder of a killed server is removed, one of a living server and one just made are kept", async () => {
  const living = await createRuntimeDir({ XDG_RUNTIME_DIR: base });
  const script = `
    import { createRuntimeDir } from ${JSON.stringify(join(import.meta.dir, "runtime-dir.ts"))};
    console.log((await createRuntimeDir({ XDG_RUNTIME_DIR: ${JSON.stringify(base)} })).path);
    process.kill(process.pid, "SIGKILL");`;
  const killed = Bun.spawnSync([process.execPath, "-e", script]).stdout.toString().trim();
  expect(existsSync(join(killed, "owner.sock"))).toBe(true);
  const justMade = join(base, "stock-db-server-1-new");
  mkdirSync(justMade);
  const abandoned = join(base, "stock-db-server-1-old");
  mkdirSync(abandoned);
  utimesSync(abandoned, 1, 1);

  const next = await createRuntimeDir({ XDG_RUNTIME_DIR: base });
  expect([living.path, killed, justMade, abandoned, next.path].map((path) => existsSync(path))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
  living.remove();
  next.remove();
  rmSync(justMade, { recursive: true });
  expect(readdirSync(base)).toEqual([]);
});

test("a base that is missing or too long is passed over", async () => {
  const long = join(base, "x".repeat(SOCKET_PATH_BYTES_MAX));
  mkdirSync(long);
  for (const unusable of [long, join(base, "missing")]) {
    const dir = await createRuntimeDir({ XDG_RUNTIME_DIR: unusable });
    expect(dir.path.startsWith(unusable)).toBe(false);
    dir.remove();
  }
  rmSync(long, { recursive: true });
});

test("the folder that RUNTIME_DIRECTORY names is made, for its user alone", async () => {
  const open = join(base, "volume");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const named = join(open, "own");
  const dir = await createRuntimeDir({ RUNTIME_DIRECTORY: `${named}:/elsewhere` });
  expect(dir.path.startsWith(named)).toBe(true);
  expect(dir.passedOver).toEqual([]);
  expect(statSync(named).mode & 0o777).toBe(0o700);
  dir.remove();
  rmSync(open, { recursive: true });
});

test("servers that start at the same time leave each other's folders alone", async () => {
  const script = `
    import { existsSync } from "node:fs";
    import { join } from "node:path";
    import { createRuntimeDir } from ${JSON.stringify(join(import.meta.dir, "runtime-dir.ts"))};
    for (let i = 0; i < 150; i++) {
      const dir = await createRuntimeDir({ XDG_RUNTIME_DIR: ${JSON.stringify(base)} });
      await Bun.sleep(1);
      if (!existsSync(join(dir.path, "owner.sock"))) throw new Error("it was removed");
      dir.remove();
    }`;
  const starting = Array.from({ length: 4 }, () =>
    Bun.spawn([process.execPath, "--no-orphans", "-e", script], { stdio: ["ignore", "inherit", "inherit"] }),
  );
  expect(await Promise.all(starting.map((child) => child.exited))).toEqual([0, 0, 0, 0]);
  expect(readdirSync(base)).toEqual([]);
});

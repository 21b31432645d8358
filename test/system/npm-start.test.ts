/**
 * `npm start`, as the README has it, stopped the way service managers stop things: by a signal to
 * npm alone.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const ROOT = join(import.meta.dir, "..", "..");

test("SIGTERM to npm stops the server, and leaves no orphan behind", async () => {
  using dir = tempDir();
  const npm = Bun.spawn(["npm", "start", "--", "--port", "0", "--db-file", join(dir.path, "x.db")], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  let log = "";
  const reading = (async () => {
    for await (const chunk of npm.stdout.pipeThrough(new TextDecoderStream())) log += chunk;
  })();
  const serverPid = (): number => Number(/\[PID:(\d+)\].*Server starting on/.exec(log)?.[1] ?? 0);
  try {
    await waitUntil("the server serves", () => serverPid() > 0);
    npm.kill("SIGTERM");
    await npm.exited;
    await waitUntil("the server has ended", () => {
      try {
        process.kill(serverPid(), 0);
        return false;
      } catch {
        return true; // no such process
      }
    });
    await reading;
    expect(log).toContain("Server has been shut down.");
  } finally {
    npm.kill("SIGKILL");
    if (serverPid() > 0) Bun.spawnSync(["kill", "-9", String(serverPid())], { stderr: "ignore" });
  }
});

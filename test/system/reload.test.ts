/** SIGHUP under load: what clients notice of a rolling restart. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { CLIENTS, LISTENERS_CLOSED, type ReloadReport } from "../fixtures/reload-under-load.ts";

setDefaultTimeout(180_000);

const FIXTURE = [process.execPath, "--no-orphans", join(import.meta.dir, "../fixtures/reload-under-load.ts")];
/**
 * A closed listener's queue is reset by the kernel: of each client one connection may be in it, on
 * a busy machine.
 */
const LOST_BY_KERNEL_MAX = LISTENERS_CLOSED * CLIENTS;

/**
 * A network of its own, with a loopback device, in which the kernel hands waiting connections on to
 * another listener.
 */
const IN_NAMESPACE = [
  "unshare",
  "-n",
  "sh",
  "-c",
  'ip link set lo up && echo 1 > /proc/sys/net/ipv4/tcp_migrate_req && exec "$@"',
  "sh",
];

test("keep-alive clients lose nothing, those that connect for each request no more than the kernel resets", async () => {
  const { keepAlive, closing, workersReplaced } = await report(FIXTURE);
  expect(workersReplaced).toBe(true);
  expect(keepAlive).toMatchObject({ lostOnUsed: 0, refused: 0 });
  expect(closing).toMatchObject({ lostOnUsed: 0, refused: 0 });
  expect(closing.answered).toBeGreaterThan(100);
  // A keep-alive client that is told to come back on another connection is one that connects, too.
  const lost = closing.lostOnFresh + keepAlive.lostOnFresh;
  expect(lost).toBeLessThanOrEqual(LOST_BY_KERNEL_MAX);
});

const refusal = whyNoNamespace();
if (refusal !== null) console.log(`reload.test.ts: no test with tcp_migrate_req: ${refusal}`);

test.skipIf(refusal !== null)("with tcp_migrate_req nobody loses anything", async () => {
  const { keepAlive, closing, workersReplaced } = await report([...IN_NAMESPACE, ...FIXTURE]);
  expect(workersReplaced).toBe(true);
  expect(keepAlive).toMatchObject({ lostOnUsed: 0, lostOnFresh: 0, refused: 0 });
  expect(closing).toMatchObject({ lostOnUsed: 0, lostOnFresh: 0, refused: 0 });
  expect(closing.answered).toBeGreaterThan(100);
});

async function report(argv: string[]): Promise<ReloadReport> {
  await using child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const output = await child.stdout.text();
  expect(await child.exited).toBe(0);
  const result = JSON.parse(output) as ReloadReport;
  console.log(`reload.test.ts: ${output.trim()}`);
  return result;
}

/** What hinders a network namespace with that setting; null if nothing. */
function whyNoNamespace(): string | null {
  if (process.platform !== "linux") return "there are network namespaces only on Linux";
  if (Bun.which("unshare") === null || Bun.which("ip") === null) return "unshare or ip is not installed";
  const tried = Bun.spawnSync([...IN_NAMESPACE, "true"]);
  return tried.exitCode === 0 ? null : tried.stderr.toString().trim();
}

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MEMORY_BOARD_FILE, MemoryBoard } from "../../src/memory/memory-board.ts";
import { startMemoryEnder } from "../../src/memory/memory-ender.ts";
import { killGreatest } from "../../src/sql/runner-memory.ts";

setDefaultTimeout(60_000);

const MIB = 2 ** 20;
let folder = "";
let processes: Bun.Subprocess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "board-"));
});

afterEach(async () => {
  for (const child of processes) child.kill("SIGKILL");
  await Promise.all(processes.map((child) => child.exited));
  processes = [];
  rmSync(folder, { recursive: true });
});

/** A process that holds so much, and runs the code first. */
async function holding(megabytes: number, code = ""): Promise<Bun.Subprocess> {
  const script = `${code}; const held = new Uint8Array(${megabytes} * 2 ** 20).fill(1); console.log("ready"); setInterval(() => held[0], 1000)`;
  const child = Bun.spawn([process.execPath, "--no-orphans", "-e", script], { stdout: "pipe" });
  processes.push(child);
  await child.stdout.getReader().read();
  return child;
}

function onBoard(statement: string): string {
  return `const { MemoryBoard } = await import(${JSON.stringify(join(import.meta.dir, "..", "..", "src", "memory", "memory-board.ts"))}); const board = new MemoryBoard(${JSON.stringify(folder)}); ${statement}`;
}

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGKILL");
  await child.exited;
}

test("the file is its user's alone, and each process sees the others with their memory", async () => {
  const board = new MemoryBoard(folder);
  board.join("supervisor", 0);
  expect(statSync(join(folder, MEMORY_BOARD_FILE)).mode & 0o777).toBe(0o600);
  const worker = await holding(100, onBoard(`board.join("worker", 2); board.setSpooledBytes(5 * 2 ** 20)`));
  const found = board.processes();
  expect(found.map(({ name, pid }) => ({ name, pid }))).toEqual([
    { name: "supervisor", pid: process.pid },
    { name: "worker 2", pid: worker.pid },
  ]);
  expect(found[1]!.bytes).toBeGreaterThan(100 * MIB);
  expect(board.spooledBytes).toBe(5 * MIB);
  await end(worker);
  expect(board.processes().map(({ name }) => name)).toEqual(["supervisor"]);
  expect(board.spooledBytes).toBe(0);
});

test("statements of a process that died don't count", async () => {
  const board = new MemoryBoard(folder);
  const bounds = { max: 3, perClient: 2 };
  const worker = await holding(
    1,
    onBoard(`for (let i = 0; i < 2; i++) board.beginStatement("a", { max: 3, perClient: 2 })`),
  );
  expect(board.beginStatement("a", bounds)).toBeNull();
  const other = board.beginStatement("b", bounds);
  expect(other).not.toBeNull();
  expect(board.beginStatement("c", bounds)).toBeNull();
  await end(worker);
  expect(board.beginStatement("a", bounds)).not.toBeNull();
  other!();
  expect(board.statements).toBe(1);
});

test.each([
  { of: "all", clients: ["a", "b"], bounds: { max: 1, perClient: 1 } },
  { of: "a client", clients: ["a", "a"], bounds: { max: 9, perClient: 1 } },
])("processes that begin at the same moment don't pass the bound of $of together", async (run) => {
  const running = join(folder, "running");
  writeFileSync(running, new Uint8Array(4));
  // The board holds those too that are about to step back, so they count themselves.
  const script = (client: string): string =>
    onBoard(`
      const running = new Int32Array(Bun.mmap(${JSON.stringify(running)}, { shared: true }).buffer);
      let most = 0;
      for (let begun = 0; begun < 20_000; ) {
        const leave = board.beginStatement("${client}", ${JSON.stringify(run.bounds)});
        if (leave === null) continue;
        begun++;
        most = Math.max(most, Atomics.add(running, 0, 1) + 1);
        Atomics.sub(running, 0, 1);
        leave();
      }
      console.log(most)`);
  const most = await Promise.all(
    run.clients.map(async (client) => {
      const command = [process.execPath, "--no-orphans", "-e", script(client)];
      const child = Bun.spawn(command, { stdout: "pipe" });
      processes.push(child);
      return Number(await child.stdout.text());
    }),
  );
  expect(most).toEqual([1, 1]);
});

test("the greatest runner is killed, whoever owns it, and neither a committing one nor a small one", async () => {
  const board = new MemoryBoard(folder);
  const [small, great, greatest] = await Promise.all([holding(20), holding(200), holding(300)]);
  const entries = [small, great, greatest].map((runner) => board.addRunner(runner!.pid));
  expect(killGreatest(board, 4_000 * MIB)).toBeNull();
  entries[2]!.setCommitting(true);
  expect(killGreatest(new MemoryBoard(folder), 400 * MIB)?.pid).toBe(great!.pid);
  await great!.exited;
  expect(entries[1]!.doomedBytes).toBeGreaterThan(200 * MIB);
  entries[1]!.remove();
  expect(killGreatest(board, 200 * MIB)).toBeNull();
  entries[2]!.setCommitting(false);
  expect(killGreatest(board, 400 * MIB)?.pid).toBe(greatest!.pid);
  entries[2]!.remove();
  expect(small!.exitCode).toBeNull();
});

test("a process that has got the number of a runner that has gone is not killed", async () => {
  const board = new MemoryBoard(folder);
  const [runner, stranger] = [await holding(20), await holding(300)];
  board.addRunner(runner.pid);
  await end(runner);
  // As if the kernel had given the number away before anybody looked.
  const file = join(folder, MEMORY_BOARD_FILE);
  const cells = new Int32Array(Bun.mmap(file, { shared: true }).buffer);
  cells[cells.indexOf(runner.pid)] = stranger.pid;
  expect(killGreatest(board, 200 * MIB)).toBeNull();
  expect(board.runnerCount).toBe(0);
  expect(stranger.exitCode).toBeNull();
});

test("entries of runners whose owners have died leave room for others", async () => {
  const board = new MemoryBoard(folder);
  const owner = await holding(1, onBoard("for (let i = 0; i < 512; i++) board.addRunner(process.pid)"));
  await end(owner);
  board.addRunner(process.pid);
  expect(board.runners().map(({ pid }) => pid)).toEqual([process.pid]);
});

test("a process that alone is far over the bound for long is named, and one that isn't alone to blame isn't", async () => {
  const board = new MemoryBoard(folder);
  const worker = await holding(300, onBoard(`board.join("worker", 1)`));
  const named: { pid: number; what: string }[] = [];
  const stop = [200, 800].map((mb) =>
    startMemoryEnder({ board, bytesMax: mb * MIB, end: (pid, what) => named.push({ pid, what }) }),
  );
  const begunMs = performance.now();
  while (named.length === 0) await Bun.sleep(50);
  expect(performance.now() - begunMs).toBeGreaterThan(5_000);
  for (const end of stop) end();
  expect(named).toHaveLength(1);
  expect(named[0]!.pid).toBe(worker.pid);
  expect(named[0]!.what).toMatch(/^worker 1 \(pid \d+\) takes 3\d\d MB, and the server 3\d\d of 200 MB/);
});

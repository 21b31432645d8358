import { expect, test } from "bun:test";
import { MemoryBoard } from "../memory/memory-board.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import type { SqlRequest } from "./execute.ts";
import { SqlTurns } from "./sql-turns.ts";

const BODY = new TextEncoder().encode("[]");

function turnsOf(board: MemoryBoard, max: number, timeoutMs = 60_000): SqlTurns {
  return new SqlTurns({ board, max, cpus: 8, timeoutMs });
}

function request(client: string, extra: Partial<SqlRequest> = {}): SqlRequest {
  return { sql: "SELECT 1", params: [], queryType: "select", allowWrite: true, client, ...extra };
}

/** Statements that run until they are told to end, in the order in which they began. */
function statements() {
  const begun: { client: string; end(): void }[] = [];
  const execute = ({ client = "" }: SqlRequest): Promise<SqlAnswer> =>
    new Promise((resolve) => begun.push({ client, end: () => resolve({ rows: 0, body: BODY }) }));
  return { begun, execute };
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not: ${condition}`);
    await Bun.sleep(5);
  }
}

test("those that wait are served address by address, however many one of them has", async () => {
  const turns = turnsOf(new MemoryBoard(null), 1);
  const { begun, execute } = statements();
  const runs = ["a", "a", "a", "a", "b", "c", "b"].map((client) => turns.run(request(client), execute));
  for (let i = 0; i < runs.length; i++) {
    await until(() => begun.length === i + 1);
    begun[i]!.end();
  }
  await Promise.all(runs);
  expect(begun.map(({ client }) => client)).toEqual(["a", "a", "b", "c", "a", "b", "a"]);
  expect(turns.figures()).toMatchObject({ running: 0, waiting: 0, waiting_addresses: 0 });
});

test("one address never has all, the server's own statements are bound by the whole alone", async () => {
  const turns = turnsOf(new MemoryBoard(null), 4);
  const { begun, execute } = statements();
  const greedy = Array.from({ length: 5 }, () => turns.run(request("a"), execute));
  await until(() => begun.length === 3);
  const own = turns.run({ ...request("a"), client: "" }, execute);
  await until(() => begun.length === 4);
  expect(turns.figures()).toEqual({
    running: 4,
    max: 4,
    max_per_address: 3,
    waiting: 2,
    waiting_addresses: 1,
  });
  for (let i = 0; i < 6; i++) {
    await until(() => begun.length > i);
    begun[i]!.end();
  }
  await Promise.all([...greedy, own]);
});

test("workers share the number, and hear of one another's ends", async () => {
  const board = new MemoryBoard(null);
  const [one, other] = [turnsOf(board, 2), turnsOf(board, 2)];
  const { begun, execute } = statements();
  const runs = [
    one.run(request("a"), execute),
    other.run(request("b"), execute),
    other.run(request("c"), execute),
  ];
  await until(() => begun.length === 2);
  await Bun.sleep(100);
  expect(begun).toHaveLength(2);
  begun[0]!.end();
  await until(() => begun.length === 3);
  for (const { end } of begun) end();
  await Promise.all(runs);
});

test("a streamed answer holds its turn until it is read to its end, broken or given up", async () => {
  const turns = turnsOf(new MemoryBoard(null), 2);
  const stream = (): Promise<SqlAnswer> =>
    Promise.resolve({
      rows: 1,
      body: new Blob([BODY]).stream(),
    });
  const read = await turns.run(request("a"), stream);
  expect(turns.figures().running).toBe(1);
  await new Response(read.body as ReadableStream).text();
  expect(turns.figures().running).toBe(0);
  const left = await turns.run(request("a"), stream);
  await (left.body as ReadableStream<Uint8Array>).cancel();
  expect(turns.figures().running).toBe(0);
  await expect(turns.run(request("a"), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(turns.figures().running).toBe(0);
});

test("who waits too long, or leaves, waits no more", async () => {
  const turns = turnsOf(new MemoryBoard(null), 1, 300);
  const { begun, execute } = statements();
  const first = turns.run(request("a"), execute);
  await expect(turns.run(request("b"), execute)).rejects.toMatchObject({ status: 504 });
  const client = new AbortController();
  const leaving = turns.run(request("b", { signal: client.signal }), execute);
  client.abort();
  await expect(leaving).rejects.toMatchObject({ status: 499 });
  expect(turns.figures()).toMatchObject({ running: 1, waiting: 0, waiting_addresses: 0 });
  begun[0]!.end();
  await first;
});

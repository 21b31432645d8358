import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryBoard } from "../memory/memory-board.ts";
import { AnswerSpool, type AnswerSpoolOptions } from "./answer-spool.ts";

setDefaultTimeout(60_000);

const PIECE = 100_000;
let folder = "";
let warnings: string[] = [];
let board: MemoryBoard;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spool-"));
  warnings = [];
  board = new MemoryBoard(null);
  board.join("worker", 0);
});

afterEach(() => {
  expect(readdirSync(folder)).toEqual([]);
  expect(openFiles()).toEqual([]);
  rmSync(folder, { recursive: true });
});

/** Descriptors of files that were in the folder. */
function openFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return []; // the one that lists the folder
    }
  });
}

function spoolOf(options: Partial<AnswerSpoolOptions> = {}): AnswerSpool {
  return new AnswerSpool({
    board,
    bytesMax: 100 * PIECE,
    workers: 1,
    folder,
    warn: (message) => warnings.push(message),
    ...options,
  });
}

/** Pieces of a pattern that tells every byte's place. */
function pieces(count: number) {
  const state = { given: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.given === count) return controller.close();
        controller.enqueue(piece(state.given++));
      },
      cancel() {
        state.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { state, stream };
}

function piece(n: number): Uint8Array {
  return new Uint8Array(PIECE).map((_, i) => (n * 31 + i * 7) & 0xff);
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not: ${condition}`);
    await Bun.sleep(5);
  }
}

async function restOf(reader: { read(): Promise<{ value?: Uint8Array | undefined }> }): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const { value } = await reader.read();
    if (value === undefined) return Buffer.concat(parts);
    parts.push(value);
  }
}

function expectWhole(bytes: Uint8Array, count: number): void {
  const expected = Buffer.concat(Array.from({ length: count }, (_, n) => piece(n)));
  expect(bytes.length).toBe(expected.length);
  expect(Buffer.compare(bytes, expected)).toBe(0);
}

test("a client that reads on gets the pieces without a file", async () => {
  const spool = spoolOf();
  const { stream } = pieces(20);
  expectWhole(await restOf(spool.through(stream, "a").getReader()), 20);
  expect(spool.figures()).toMatchObject({ spooled_answers: 0, spooled_bytes: 0, answers_broken_off: 0 });
});

describe("a client that stops reading", () => {
  test("gets every byte later, from a file that nobody can open, and the source is free at once", async () => {
    const spool = spoolOf();
    const { state, stream } = pieces(20);
    const reader = spool.through(stream, "a").getReader();
    const first = (await reader.read()).value!;
    await until(() => state.given === 20);
    await until(() => spool.figures().spooled_bytes === 19 * PIECE);
    expect(spool.figures().spooled_bytes_all).toBeGreaterThanOrEqual(19 * PIECE);
    expect(readdirSync(folder)).toEqual([]);
    expect(openFiles()).toHaveLength(1);
    expectWhole(Buffer.concat([first, await restOf(reader)]), 20);
    expect(spool.figures()).toMatchObject({ spooled_answers: 0, spooled_bytes: 0, spooled_bytes_all: 0 });
    await until(() => openFiles().length === 0);
  });

  test("and leaves, frees the file and the source", async () => {
    const spool = spoolOf();
    const { state, stream } = pieces(20);
    const reader = spool.through(stream, "a").getReader();
    await until(() => state.given === 20);
    await reader.cancel();
    await until(() => spool.figures().spooled_bytes === 0);
    expect(spool.figures().spooled_answers).toBe(0);
    await until(() => openFiles().length === 0);

    const other = pieces(1_000_000);
    const left = spoolOf({ bytesMax: 10_000 * PIECE })
      .through(other.stream, "a")
      .getReader();
    await left.read();
    await until(() => other.state.given > 10);
    await left.cancel();
    await until(() => other.state.cancelled);
    await until(() => openFiles().length === 0);
    expect(warnings).toEqual([]);
  });

  test("is broken off when it takes nothing, or not all, within the times", async () => {
    const stalled = spoolOf({ times: { stallMs: 600, answerMs: 60_000 } });
    const reader = stalled.through(pieces(20).stream, "a").getReader();
    await reader.read();
    await until(() => warnings.length === 1);
    await expect(reader.read()).rejects.toThrow("nothing of it was taken for 0.6 s");

    const late = spoolOf({ times: { stallMs: 60_000, answerMs: 600 } });
    const other = late.through(pieces(20).stream, "a").getReader();
    await until(() => warnings.length === 2);
    await expect(other.read()).rejects.toThrow("not taken within 0.6 s");
    await until(() => openFiles().length === 0);
    expect([stalled, late].map((spool) => spool.figures().spooled_bytes)).toEqual([0, 0]);
  });
});

describe("a full spool", () => {
  test("breaks the answer off, and the source with it", async () => {
    const spool = spoolOf({ bytesMax: 10 * PIECE });
    const { state, stream } = pieces(100);
    const reader = spool.through(stream, "a").getReader();
    await until(() => state.cancelled);
    await expect(restOf(reader)).rejects.toThrow("the client reads slowly, and has its share of the spool");
    expect(warnings).toHaveLength(1);
    expect(spool.figures()).toMatchObject({ spooled_bytes: 0, answers_broken_off: 1 });
    await until(() => openFiles().length === 0);
  });

  test("one address can't fill it for others", async () => {
    const spool = spoolOf({ bytesMax: 20 * PIECE });
    const greedy = pieces(9);
    const held = spool.through(greedy.stream, "a").getReader();
    await until(() => spool.figures().spooled_bytes === 9 * PIECE);
    const more = pieces(10);
    void spool.through(more.stream, "a").getReader();
    await until(() => more.state.cancelled);
    const other = pieces(2);
    const reader = spool.through(other.stream, "b").getReader();
    await until(() => spool.figures().spooled_bytes === 11 * PIECE);
    expectWhole(await restOf(reader), 2);
    expectWhole(await restOf(held), 9);
  });
});

test("a source that breaks off breaks the answer off", async () => {
  const spool = spoolOf();
  let given = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (given++ < 5) controller.enqueue(piece(given));
        else controller.error(new Error("the runner ended"));
      },
    },
    { highWaterMark: 0 },
  );
  const reader = spool.through(stream, "a").getReader();
  await until(() => given > 5);
  await expect(restOf(reader)).rejects.toThrow("the runner ended");
  await until(() => openFiles().length === 0);
});

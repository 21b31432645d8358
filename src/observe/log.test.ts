import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../config/usage-error.ts";
import { createLogger, type LoggerOptions } from "./log.ts";
import { LINE_BYTES_MAX } from "./log-line.ts";

setDefaultTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), "log-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The lines that these calls put on "standard output". */
async function linesOf(
  options: Partial<LoggerOptions>,
  act: (logger: ReturnType<typeof createLogger>) => void,
): Promise<string[]> {
  const chunks: string[] = [];
  const logger = createLogger({
    level: "INFO",
    worker: null,
    file: null,
    write: (text) => void chunks.push(text),
    ...options,
  });
  act(logger);
  await logger.close();
  return chunks.join("").split("\n").slice(0, -1);
}

describe("a line", () => {
  test("has the time in UTC, the process, the worker, the level and the message", async () => {
    const before = Date.now();
    const [line] = await linesOf({ worker: 3 }, (logger) => logger.info("Server starting"));
    const [, time, rest] = /^(\S{23}) (.*)$/.exec(line!)!;
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/);
    const at = Date.parse(`${time}Z`);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
    expect(rest).toBe(`[PID:${process.pid}] [Worker-3] [INFO] - Server starting`);
  });

  test("is a JSON object where that is asked for, whatever the message holds and how long it is", async () => {
    const messages = ['a "b"\nc\u2028\0', "é".repeat(50_000), "\0".repeat(50_000)];
    const lines = await linesOf({ worker: 3, format: "json" }, (logger) => {
      for (const message of messages) logger.warning(message);
    });
    expect(lines).toHaveLength(messages.length);
    for (const [index, line] of lines.entries()) {
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(LINE_BYTES_MAX);
      const { time, message, ...rest } = JSON.parse(line) as Record<string, string>;
      expect(rest).toEqual({ level: "WARNING", pid: process.pid, worker: 3 } as never);
      expect(Date.parse(time!)).toBeGreaterThan(0);
      if (index === 0) expect(message).toBe(messages[0]!);
      else expect(message).toEndWith(" bytes)");
    }
  });

  test("names no worker outside of one", async () => {
    const [line] = await linesOf({}, (logger) => logger.warning("x"));
    expect(line!.slice(24)).toBe(`[PID:${process.pid}] [WARNING] - x`);
  });

  test("stays one line, whatever the message holds", async () => {
    const lines = await linesOf({}, (logger) => logger.info("a\nb\r\tc\x1b[31md\u2028e\x9bf\0"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEndWith(" - a\\nb\\r\\tc\\x1b[31md\\u2028e\\x9bf\\x00");
  });

  test("is cut where a pipe would no longer take it in one piece", async () => {
    const lines = await linesOf({}, (logger) => {
      logger.info("é".repeat(5000));
      logger.info("z".repeat(3000));
    });
    expect(lines).toHaveLength(2);
    expect(Buffer.byteLength(`${lines[0]}\n`)).toBeLessThanOrEqual(LINE_BYTES_MAX);
    expect(lines[0]).toMatch(/é… \(100\d\d bytes\)$/);
    expect(lines[1]).toEndWith("z".repeat(3000));
  });
});

test("lines below the level are left out, the others keep their order", async () => {
  const lines = await linesOf({ level: "WARNING" }, (logger) => {
    for (const level of ["debug", "info", "warning", "error", "critical"] as const) logger[level](level);
    expect([logger.logs("INFO"), logger.logs("WARNING")]).toEqual([false, true]);
  });
  expect(lines.map((line) => line.split(" - ")[1])).toEqual(["warning", "error", "critical"]);
});

test("a log file in a new folder gets the same lines; each worker has its own", async () => {
  const file = join(folder, "deep/er/server.log");
  const lines = await linesOf({ file }, (logger) => logger.info("one process"));
  const ofWorker = await linesOf({ file, worker: 0 }, (logger) => logger.info("a worker"));
  expect(readFileSync(file, "utf8")).toBe(`${lines[0]}\n`);
  expect(readFileSync(join(folder, "deep/er/server_worker_0.log"), "utf8")).toBe(`${ofWorker[0]}\n`);
});

test("a log file that can't be opened is wrong usage", () => {
  writeFileSync(join(folder, "plain"), "");
  const file = join(folder, "plain", "server.log");
  expect(() => createLogger({ level: "INFO", worker: null, file })).toThrow(UsageError);
});

test("a failing output doesn't stop the log: lost lines are counted and told of", async () => {
  const chunks: string[] = [];
  let fail = true;
  const write = async (text: string): Promise<void> => {
    if (fail) throw new Error("no room");
    chunks.push(text);
  };
  const logger = createLogger({ level: "INFO", worker: null, file: null, write });
  logger.info("one");
  logger.info("two");
  await logger.flush();
  fail = false;
  logger.info("three");
  await logger.close();
  const text = chunks.join("");
  expect(text).toContain("- three\n");
  // "one" and "two", and the line that said that lines are being lost.
  expect(text).toContain("[WARNING] - 3 log lines lost: the caller didn't take them\n");
});

describe("in a process of its own", () => {
  test("everything is written when it exits, in order", async () => {
    const file = join(folder, "exit.log");
    const child = run(
      `const log = createLogger({ level: "INFO", worker: null, file: ${JSON.stringify(file)} });
       for (let i = 0; i < 2000; i++) log.info("line " + i);
       log.critical("the end");
       process.exit(3);`,
      { stdout: "pipe" },
    );
    const printed = await new Response(child.stdout as ReadableStream).text();
    expect(await child.exited).toBe(3);
    expect(printed).toBe(readFileSync(file, "utf8"));
    const messages = printed.split("\n").map((line) => line.split(" - ")[1]);
    expect(messages).toEqual([...Array.from({ length: 2000 }, (_, i) => `line ${i}`), "the end", undefined]);
  });

  test("everything is written when it exits in the middle of a write", async () => {
    const file = join(folder, "middle.log");
    const child = run(
      `const log = createLogger({ level: "INFO", worker: null, file: ${JSON.stringify(file)} });
       for (let i = 0; i < 5000; i++) log.error("line " + i);
       await null; await null; await null;
       log.error("the end");
       process.exit(0);`,
      { stdout: "pipe" },
    );
    const printed = await new Response(child.stdout as ReadableStream).text();
    await child.exited;
    for (const text of [printed, readFileSync(file, "utf8")]) {
      const messages = new Set(text.split("\n").map((line) => line.split(" - ")[1]));
      for (let i = 0; i < 5000; i++) expect(messages.has(`line ${i}`)).toBe(true);
      expect(messages.has("the end")).toBe(true);
    }
  });

  test("a reader that reads nothing costs lines, not time or memory", async () => {
    const pipe = await makePipe();
    const child = run(
      `const log = createLogger({ level: "INFO", worker: null, file: null });
       const text = "x".repeat(100);
       let turns = 0;
       for (let i = 0; i < 100_000; i++) {
         log.info(text);
         if (i % 1000 === 0) { await Bun.sleep(0); turns++; }
       }
       process.send({ turns });
       process.on("message", async () => { log.info("the end"); await log.flush(); process.exit(0); });`,
      { stdout: pipe },
    );
    expect((await child.message).turns).toBe(100);
    const read = readAll(pipe, child);
    await until(() => read.text.includes(" log lines lost: standard output didn't take them"));
    child.send({ type: "end" });
    expect(await child.exited).toBe(0);
    await read.ended;
    closeSync(pipe);
    expect(read.text).toEndWith("- the end\n");
    const lines = read.text.split("\n").slice(0, -1);
    const lost = lines
      .map((line) => Number(/ (\d+) log lines lost/.exec(line)?.[1] ?? 0))
      .reduce((a, b) => a + b);
    const whole = lines.filter((line) => line.endsWith(`[INFO] - ${"x".repeat(100)}`)).length;
    expect(lost).toBeGreaterThan(0);
    expect(whole + lost).toBe(100_000);
  });

  test("a closed standard output doesn't end it; the file says so", async () => {
    const file = join(folder, "closed.log");
    const child = run(
      `const log = createLogger({ level: "INFO", worker: null, file: ${JSON.stringify(file)} });
       process.on("message", async () => {
         for (let i = 0; i < 100; i++) { log.info("line " + i); await log.flush(); }
         process.exit(0);
       });
       process.send({});`,
      { stdout: "pipe" },
    );
    await child.message;
    await (child.stdout as ReadableStream).cancel();
    child.send({});
    expect(await child.exited).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(text).toContain("[ERROR] - log lines to standard output are being lost: EPIPE");
    expect(text).toContain("- line 99\n");
  });
});

interface Child {
  stdout: unknown;
  exited: Promise<number>;
  exitCode: number | null;
  message: Promise<{ turns?: number }>;
  send(message: object): void;
}

/** Runs code that has `createLogger`, with the given standard output. */
function run(code: string, { stdout }: { stdout: "pipe" | number }): Child {
  const { promise, resolve } = Promise.withResolvers<{ turns?: number }>();
  const module = JSON.stringify(join(import.meta.dir, "log.ts"));
  const child = Bun.spawn(
    [process.execPath, "--no-orphans", "-e", `import { createLogger } from ${module};\n${code}`],
    {
      stdio: ["ignore", stdout, "inherit"],
      serialization: "json",
      ipc: resolve,
    },
  );
  return Object.assign(child, { message: promise });
}

/** A pipe that holds 64 KB and that nobody reads until the test does. */
async function makePipe(): Promise<number> {
  const path = join(folder, `pipe-${crypto.randomUUID()}`);
  await Bun.$`mkfifo ${path}`;
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** Goes on reading until the child has exited and the pipe is empty. */
function readAll(pipe: number, child: Child): { text: string; ended: Promise<void> } {
  const read = { text: "", ended: Promise.resolve() };
  const buffer = Buffer.alloc(64 * 1024);
  const take = (): boolean => {
    try {
      read.text += buffer.toString("utf8", 0, readSync(pipe, buffer));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      return false;
    }
  };
  read.ended = (async () => {
    for (;;) {
      const ended = child.exitCode !== null;
      while (take());
      if (ended) return;
      await Bun.sleep(5);
    }
  })();
  return read;
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !condition(); await Bun.sleep(10)) {
    if (Date.now() > deadline) throw new Error("waited 60 s for nothing");
  }
}

/**
 * The runner process: runs one statement after the other, and blocks while it does. It reads and
 * writes its pipes synchronously: it has nothing else to do, and so needs no queue of its own.
 *
 * It ends when its stdin does. In the middle of a statement only its death ends it: it has to be
 * started with `--no-orphans`, or it would go on when its worker is gone.
 */
import { readSync, writeFileSync, writeSync } from "node:fs";
import type { UserSqlEngine, UserSqlOutcome } from "../storage/user-sql-contract.ts";
import { decodeQuery, encodeFrame, type FromRunner, type ToRunner, WINDOW_BYTES } from "./protocol.ts";

const STDIN = 0;
const STDOUT = 1;

/** Returns when the worker is gone or has closed the pipe. */
export function runSqlRunner(engine: UserSqlEngine): void {
  outliveSignalsToTheGroup();
  preferToBeKilled();
  for (let message = receive(); message !== null; message = receive()) {
    if (message.type === "query") answer(engine, message);
  }
  engine.close();
}

function answer(engine: UserSqlEngine, { request }: ToRunner & { type: "query" }): void {
  const outcome = engine.run(decodeQuery(request), () => send({ type: "committing" }));
  switch (outcome.status) {
    case "needs-write":
      send({ type: "needs-write" });
      break;
    case "error": {
      const { status, ...error } = outcome;
      send({ type: status, ...error });
      break;
    }
    case "rows":
      send({ type: "rows", rows: outcome.rows, changed: outcome.changed, bytes: outcome.bytes });
      sendRows(outcome);
  }
}

function sendRows({ parts, bytes }: UserSqlOutcome & { status: "rows" }): void {
  if (bytes <= WINDOW_BYTES) {
    for (const part of parts) write(part);
    return;
  }
  sendInWindows(parts);
  // Gives the answer's memory back to the machine: the next one may come in an hour.
  parts.length = 0;
  Bun.gc(true);
}

/** Waits for `more` before each window. A worker that wants no more kills this process. */
function sendInWindows(parts: Uint8Array[]): void {
  let windowLeft = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      if (windowLeft === 0) {
        if (receive()?.type !== "more") process.exit(0);
        windowLeft = WINDOW_BYTES;
      }
      const piece = part.subarray(at, at + windowLeft);
      write(piece);
      at += piece.length;
      windowLeft -= piece.length;
    }
  }
}

function send(message: FromRunner): void {
  write(encodeFrame(message));
}

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(STDOUT, bytes, at, bytes.length - at);
}

/** null when the pipe has ended. */
function receive(): ToRunner | null {
  const head = read(4);
  const body = head === null ? null : read(head.readUInt32LE());
  return body === null ? null : (JSON.parse(body.toString()) as ToRunner);
}

function read(length: number): Buffer | null {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const count = readSync(STDIN, bytes, at, length - at, null);
    if (count === 0) return null;
    at += count;
  }
  return bytes;
}

/**
 * Ctrl-C in a terminal and a service manager's stop reach every process of the group. The worker
 * answers what is in flight before it ends, so its runners have to stay; they end with it.
 */
function outliveSignalsToTheGroup(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
}

/**
 * When a statement eats up the machine's memory, the kernel should end this process and not the one
 * that owns the writer.
 */
function preferToBeKilled(): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync("/proc/self/oom_score_adj", "1000");
  } catch (error) {
    console.error(`SQL runner keeps the usual out-of-memory score: ${(error as Error).message}`);
  }
}

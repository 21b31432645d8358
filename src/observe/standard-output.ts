import { constants, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { errorCode } from "./file-errors.ts";
import type { LineTarget } from "./line-queue.ts";

const STDOUT = 1;

/**
 * A pipe takes up to this many bytes in one piece, so that lines of several processes never mix
 * (PIPE_BUF on Linux).
 */
export const ATOMIC_PIPE_BYTES = 4096;

/** How often a terminal that takes nothing is tried again. */
const RETRY_MS = 20;
/** The exit of the process waits no longer for a reader that doesn't read. */
const EXIT_WAIT_MS = 500;

/** After these the reader is gone: closed pipe, closed terminal, no such descriptor. */
const FINAL_ERRORS = ["EPIPE", "EIO", "EBADF"];

export function standardOutput(): LineTarget {
  const terminal = isatty(STDOUT) ? openTerminal() : null;
  const fd = terminal ?? STDOUT;
  const send = terminal === null ? sendToSink() : (chunk: Buffer) => sendToTerminal(terminal, chunk);
  let closed = false;
  return {
    name: "standard output",
    chunkBytesMax: ATOMIC_PIPE_BYTES,
    get closed() {
      return closed;
    },
    async write(chunk) {
      try {
        await send(chunk);
      } catch (error) {
        closed = FINAL_ERRORS.includes(errorCode(error));
        throw error;
      }
    },
    /** An unfinished chunk is Bun's, which tries it a last time at the exit. */
    writeSync(chunk) {
      closed ||= !writeBeforeExit(fd, chunk);
    },
    async close() {
      // Others in the process may still print.
    },
  };
}

/** Pipes, sockets and files: Bun waits for them without blocking the event loop. */
function sendToSink(): (chunk: Buffer) => Promise<void> {
  const sink = Bun.stdout.writer();
  return async (chunk) => {
    sink.write(chunk);
    await sink.flush();
  };
}

/**
 * A terminal stopped with Ctrl-S takes nothing, and Bun's own writer would block the event loop on
 * it. Opened anew, since a flag set on the inherited one would also be set for the shell. Null
 * where that isn't possible.
 */
function openTerminal(): number | null {
  try {
    return openSync("/proc/self/fd/1", constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // No /proc, or a terminal of another user: Bun's writer does too, but for Ctrl-S.
    return null;
  }
}

async function sendToTerminal(fd: number, chunk: Buffer): Promise<void> {
  for (let sent = 0; sent < chunk.length; ) {
    const taken = writeIfRoom(fd, chunk.subarray(sent));
    if (taken === 0) await Bun.sleep(RETRY_MS);
    sent += taken;
  }
}

/** False when the deadline passed or the reader is gone: what is left is lost. */
function writeBeforeExit(fd: number, chunk: Buffer): boolean {
  const deadline = performance.now() + EXIT_WAIT_MS;
  try {
    for (let sent = 0; sent < chunk.length; ) {
      const taken = writeIfRoom(fd, chunk.subarray(sent));
      if (taken === 0 && performance.now() > deadline) return false;
      if (taken === 0) Bun.sleepSync(RETRY_MS);
      sent += taken;
    }
    return true;
  } catch {
    // The process is about to end and its output is gone: nobody is left to tell.
    return false;
  }
}

function writeIfRoom(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if (errorCode(error) === "EAGAIN") return 0;
    throw error;
  }
}

import { constants, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { errorCode } from "./file-errors.ts";
import type { LineTarget } from "./line-queue.ts";

const STDOUT = 1;

/** PIPE_BUF on Linux: pipes take this much in one piece, so lines of processes never mix. */
export const ATOMIC_PIPE_BYTES = 4096;

/** Pause before another try to write to a full terminal. */
const RETRY_MS = 20;
/** At exit, wait no longer for a stuck reader. */
const EXIT_WAIT_MS = 500;

/** The reader is gone: closed pipe, closed terminal, no such descriptor. */
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
    /** Bun has the unfinished chunk and tries it once more at exit. */
    writeSync(chunk) {
      closed ||= !writeBeforeExit(fd, chunk);
    },
    async close() {
      // Other code in the process may still print.
    },
  };
}

/** For pipes, sockets and files Bun waits without blocking the event loop. */
function sendToSink(): (chunk: Buffer) => Promise<void> {
  const sink = Bun.stdout.writer();
  return async (chunk) => {
    sink.write(chunk);
    await sink.flush();
  };
}

/**
 * A terminal stopped with Ctrl-S blocks Bun's own writer, and with it the event loop. Opens it
 * anew: a flag on the inherited descriptor would hit the shell too. Null where that is impossible.
 */
function openTerminal(): number | null {
  try {
    return openSync("/proc/self/fd/1", constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // No /proc, or another user's terminal: Bun's writer works too, until Ctrl-S.
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

/** False after the deadline or when the reader is gone: the rest is lost. */
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
    // The process is ending and its output is gone: there is no way to report this.
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

/**
 * The last resort: a process that takes the server far over its bound is ended and replaced. With
 * `--workers 1`, nothing would replace it, so it closes WebSockets instead.
 */
import { MIB } from "../config/units.ts";
import type { MemoryBoard } from "./memory-board.ts";
import { processesOf, sumOf } from "./memory-watch.ts";

const LOOK_MS = 500;
/** Share of the bound that all together take. */
const FAR_OVER = 1.25;
/** Share of the bound that the greatest takes alone. */
const ALONE = 0.75;
/** The system takes memory back late: caches and large messages get this long. */
const FAR_OVER_FOR_MS = 5_000;

export interface MemoryEnderOptions {
  board: MemoryBoard;
  /** --memory-mb. */
  bytesMax: number;
  /** @param what A sentence with the reason, without a full stop. */
  end(pid: number, what: string): void;
}

/** @returns a function that stops it. */
export function startMemoryEnder({ board, bytesMax, end }: MemoryEnderOptions): () => void {
  let suspect = { pid: 0, sinceMs: 0 };
  const timer = setInterval(() => {
    const sum = sumOf(processesOf(board));
    const greatest = board.processes().toSorted((a, b) => b.bytes - a.bytes)[0];
    if (greatest === undefined || sum < bytesMax * FAR_OVER || greatest.bytes < bytesMax * ALONE) {
      suspect = { pid: 0, sinceMs: 0 };
      return;
    }
    if (suspect.pid !== greatest.pid) suspect = { pid: greatest.pid, sinceMs: performance.now() };
    if (performance.now() - suspect.sinceMs < FAR_OVER_FOR_MS) return;
    suspect = { pid: 0, sinceMs: 0 };
    const mb = (bytes: number): number => Math.round(bytes / MIB);
    end(
      greatest.pid,
      `${greatest.name} (pid ${greatest.pid}) takes ${mb(greatest.bytes)} MB, and the server ${mb(sum)} of ${mb(bytesMax)} MB (--memory-mb)`,
    );
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

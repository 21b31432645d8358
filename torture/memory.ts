/** Watches the memory of a server's processes from outside. */
import { allPids, readProc, statOf } from "../test/support/processes.ts";

const POLL_MS = 40;
const PAGE_BYTES = 4096;
const MIB = 2 ** 20;

export class MemoryWatch {
  readonly #leader: number;
  readonly #timer: Timer;
  #peakBytes = 0;

  /** @param leader Process that leads the group of all the server's processes. */
  constructor(leader: number) {
    this.#leader = leader;
    this.#timer = setInterval(() => this.#look(), POLL_MS);
  }

  /** The most since the last call, in MB. */
  takePeakMb(): number {
    this.#look();
    const peak = this.#peakBytes;
    this.#peakBytes = 0;
    return Math.round(peak / MIB);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#peakBytes = Math.max(this.#peakBytes, groupBytes(this.#leader));
  }
}

/** What the processes have of their own; what they share, as the program itself, counts once. */
function groupBytes(leader: number): number {
  let own = 0;
  let shared = 0;
  for (const pid of allPids()) {
    if (statOf(pid)?.group !== leader) continue;
    const [, resident = 0, sharedPages = 0] = readProc(pid, "statm").split(" ").map(Number);
    own += resident - sharedPages;
    shared = Math.max(shared, sharedPages);
  }
  return (own + shared) * PAGE_BYTES;
}

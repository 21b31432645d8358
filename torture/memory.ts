/** Watches the memory of a server's processes from outside. */
import { allPids, readProc, statOf } from "../test/support/processes.ts";

const POLL_MS = 40;
const PAGE_BYTES = 4096;
const MIB = 2 ** 20;

export class MemoryWatch {
  readonly #leader: number;
  readonly #timer: Timer;
  #peakBytes = 0;

  /** @param leader The process that all others of the server descend from. */
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
    this.#peakBytes = Math.max(this.#peakBytes, familyBytes(this.#leader));
  }
}

/** What the processes have of their own; what they share, as the program itself, counts once. */
function familyBytes(leader: number): number {
  let own = 0;
  let shared = 0;
  for (const pid of familyOf(leader)) {
    const [, resident = 0, sharedPages = 0] = readProc(pid, "statm").split(" ").map(Number);
    own += resident - sharedPages;
    shared = Math.max(shared, sharedPages);
  }
  return (own + shared) * PAGE_BYTES;
}

function familyOf(leader: number): Set<number> {
  const parents = new Map(allPids().map((pid) => [pid, statOf(pid)?.parent ?? 0]));
  const family = new Set([leader]);
  // A child may have a smaller number than its parent, when numbers begin anew.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [pid, parent] of parents) if (family.has(parent)) family.add(pid);
  }
  return family;
}

/**
 * What the processes of a server know of each other's memory, in a small file that all map: pids of
 * processes and SQL runners, running user-written statements by client address, and spooled bytes.
 *
 * Readers ask the kernel how much each pid takes, so a stuck process counts too. They also remove
 * entries of processes that have ended.
 */
import { join } from "node:path";
import { mapCells } from "../protocol/mapped-cells.ts";
import { residentBytes, startOf } from "./resident.ts";

export const MEMORY_BOARD_FILE = "memory";

/** Index of the first entry, number of entries, and 32-bit cells in each. */
const PROCESSES = { first: 0, count: 256, cells: 4 };
const RUNNERS = { first: 1024, count: 512, cells: 5 };
const STATEMENTS = { first: 3584, count: 512, cells: 2 };
const CELLS = 4608;
const KIB = 1024;

const ROLES = ["supervisor", "hub", "worker"] as const;
export type ProcessRole = (typeof ROLES)[number];

export interface ServerProcess {
  pid: number;
  /** Such as "worker 2". */
  name: string;
  bytes: number;
}

export interface BoardRunner {
  pid: number;
  owner: number;
  bytes: number;
  /** Killed for its memory, but not gone yet. */
  doomed: boolean;
  /** If it is killed now, the outcome of its statement is unknown. */
  committing: boolean;
}

/** The owner's handle of a runner's entry. */
export interface RunnerEntry {
  setCommitting(committing: boolean): void;
  /** Bytes for which some process killed it; 0 if none has. */
  readonly doomedBytes: number;
  remove(): void;
}

export class MemoryBoard {
  readonly #cells: Int32Array;

  /** @param runtimeDir The server's; null for a process that shares with none. */
  constructor(runtimeDir: string | null) {
    this.#cells =
      runtimeDir === null ? new Int32Array(CELLS) : mapCells(join(runtimeDir, MEMORY_BOARD_FILE), CELLS);
  }

  join(role: ProcessRole, workerId: number): void {
    if (this.#ownEntry() !== null) return;
    this.#removeDead(PROCESSES, 0);
    const at = this.#take(PROCESSES, process.pid);
    if (at === null) return;
    Atomics.store(this.#cells, at + 1, ROLES.indexOf(role) * 1024 + workerId + 1);
    Atomics.store(this.#cells, at + 2, 0);
    Atomics.store(this.#cells, at + 3, 0);
  }

  /** Sets this process' part of the sum. */
  setSpooledBytes(bytes: number): void {
    const at = this.#ownEntry();
    if (at !== null) Atomics.store(this.#cells, at + 2, Math.ceil(bytes / KIB));
  }

  /** Sum of all living processes. */
  get spooledBytes(): number {
    return this.#entries(PROCESSES).reduce((sum, at) => sum + this.#cell(at + 2) * KIB, 0);
  }

  /** Living processes, without SQL runners. */
  processes(): ServerProcess[] {
    return this.#entries(PROCESSES).flatMap((at) => {
      const pid = this.#cell(at);
      const bytes = residentBytes(pid);
      if (bytes === 0) {
        Atomics.compareExchange(this.#cells, at, pid, 0);
        return [];
      }
      const kind = this.#cell(at + 1);
      const role = ROLES[Math.floor(kind / 1024)]!;
      return [{ pid, name: role === "worker" ? `worker ${(kind % 1024) - 1}` : role, bytes }];
    });
  }

  /** Enters a runner of this process. */
  addRunner(pid: number): RunnerEntry {
    const cells = this.#cells;
    let at = this.#take(RUNNERS, pid);
    if (at === null) {
      this.#removeDead(RUNNERS, 1);
      at = this.#take(RUNNERS, pid);
    }
    if (at === null) return { setCommitting() {}, doomedBytes: 0, remove() {} };
    const entry = at;
    for (const [offset, value] of [
      [1, process.pid],
      [2, 0],
      [3, 0],
      [4, startOf(pid)],
    ] as const)
      Atomics.store(cells, entry + offset, value);
    return {
      setCommitting: (committing) => void Atomics.store(cells, entry + 3, committing ? 1 : 0),
      get doomedBytes() {
        return Atomics.load(cells, entry + 2) * KIB;
      },
      remove: () => void Atomics.compareExchange(cells, entry, pid, 0),
    };
  }

  /** Runners of all processes. */
  runners(): BoardRunner[] {
    return this.#entries(RUNNERS).flatMap((at) => {
      const pid = this.#cell(at);
      const owner = this.#cell(at + 1);
      const bytes = residentBytes(pid);
      // The process has just started or ended. Its owner removes the entry, if the owner lives.
      if (bytes === 0 && owner !== 0 && residentBytes(owner) === 0)
        Atomics.compareExchange(this.#cells, at, pid, 0);
      if (bytes === 0) return [];
      return [{ pid, owner, bytes, doomed: this.#cell(at + 2) > 0, committing: this.#cell(at + 3) === 1 }];
    });
  }

  get runnerCount(): number {
    return this.#entries(RUNNERS).length;
  }

  /** Kills any process' runner for its memory. False if it is gone or already killed for that. */
  doom({ pid, bytes }: BoardRunner): boolean {
    const at = this.#entries(RUNNERS).find((entry) => this.#cell(entry) === pid);
    if (at === undefined) return false;
    // The pid may have a new owner by now, which this server must leave alone.
    if (this.#cell(at + 4) !== startOf(pid)) {
      Atomics.compareExchange(this.#cells, at, pid, 0);
      return false;
    }
    if (Atomics.compareExchange(this.#cells, at + 2, 0, Math.ceil(bytes / KIB)) !== 0) return false;
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    return true;
  }

  /**
   * Enters a statement that this process is about to run.
   * @param client Address; "" for the server itself, which has no share.
   * @returns a function that removes it; null when the server or the client has reached its bound.
   */
  beginStatement(client: string, bounds: { max: number; perClient: number }): (() => void) | null {
    const hash = hashOf(client);
    if (!this.#hasRoom(hash, bounds)) this.#removeDead(STATEMENTS, 0);
    if (!this.#hasRoom(hash, bounds)) return null;
    const at = this.#take(STATEMENTS, process.pid);
    if (at === null) return null;
    Atomics.store(this.#cells, at + 1, hash);
    const leave = () => void Atomics.compareExchange(this.#cells, at, process.pid, 0);
    // Another process may have seen the same room: with its entry made, each looks once more, and
    // whoever finds too many steps back.
    if (this.#hasRoom(hash, { max: bounds.max + 1, perClient: bounds.perClient + 1 })) return leave;
    leave();
    return null;
  }

  /** Running statements, in all processes. */
  get statements(): number {
    return this.#entries(STATEMENTS).length;
  }

  /** For one more. */
  #hasRoom(hash: number, { max, perClient }: { max: number; perClient: number }): boolean {
    const entries = this.#entries(STATEMENTS);
    if (entries.length >= max) return false;
    return hash === 0 || entries.filter((at) => this.#cell(at + 1) === hash).length < perClient;
  }

  #ownEntry(): number | null {
    return this.#entries(PROCESSES).find((at) => this.#cell(at) === process.pid) ?? null;
  }

  #cell(at: number): number {
    return Atomics.load(this.#cells, at);
  }

  #entries({ first, count, cells }: typeof PROCESSES): number[] {
    const found: number[] = [];
    for (let i = 0; i < count; i++) {
      if (this.#cell(first + i * cells) !== 0) found.push(first + i * cells);
    }
    return found;
  }

  /** Takes a free entry and sets its first cell; null when none is left. */
  #take({ first, count, cells }: typeof PROCESSES, pid: number): number | null {
    for (let i = 0; i < count; i++) {
      const at = first + i * cells;
      if (Atomics.compareExchange(this.#cells, at, 0, pid) === 0) return at;
    }
    return null;
  }

  /**
   * Removes entries of processes that have ended.
   * @param cell Index of the pid in the entry.
   */
  #removeDead(kind: typeof PROCESSES, cell: number): void {
    for (const at of this.#entries(kind)) {
      const pid = this.#cell(at + cell);
      if (!isAlive(pid)) Atomics.compareExchange(this.#cells, at, pid, 0);
    }
  }
}

/** The first process makes it. All use the same length, and new bytes are zeros. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** 0 is the server itself. Two clients with the same hash share their bound, nothing else. */
function hashOf(client: string): number {
  if (client === "") return 0;
  return Number(Bun.hash(client) & 0x7fffffffn) || 1;
}

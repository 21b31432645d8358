/**
 * What the processes of one server know of each other's memory: a small file that all of them map.
 * It holds the pids of the server's processes and SQL runners, the user-written statements that
 * run, by client address, and the bytes spooled.
 *
 * Nobody reports how much he takes: whoever wants to know asks the kernel, so a process that is
 * stuck is counted too. An entry whose process has ended without removing it is removed by the next
 * one who looks.
 */
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { residentBytes, startOf } from "./resident.ts";

export const MEMORY_BOARD_FILE = "memory";

/** Entries of each kind, and the 32-bit cells of one. */
const PROCESSES = { first: 0, count: 256, cells: 4 };
const RUNNERS = { first: 1024, count: 512, cells: 5 };
const STATEMENTS = { first: 3584, count: 512, cells: 2 };
const CELLS = 4608;
const KIB = 1024;

const ROLES = ["supervisor", "hub", "worker"] as const;
export type ProcessRole = (typeof ROLES)[number];

export interface ServerProcess {
  pid: number;
  /** "worker 2". */
  name: string;
  bytes: number;
}

export interface BoardRunner {
  pid: number;
  owner: number;
  bytes: number;
  /** It has been killed because of its memory, and has not gone yet. */
  doomed: boolean;
  /** Killed now, nobody could say what it did. */
  committing: boolean;
}

/** Entry of a runner, held by its owner. */
export interface RunnerEntry {
  setCommitting(committing: boolean): void;
  /** Bytes for which it was killed, whoever did it; 0 if it wasn't. */
  readonly doomedBytes: number;
  remove(): void;
}

export class MemoryBoard {
  readonly #cells: Int32Array;

  /** @param runtimeDir Of the server; null for a process that shares with nobody. */
  constructor(runtimeDir: string | null) {
    this.#cells = runtimeDir === null ? new Int32Array(CELLS) : mapped(join(runtimeDir, MEMORY_BOARD_FILE));
  }

  /** Enters this process. */
  join(role: ProcessRole, workerId: number): void {
    if (this.#own() !== null) return;
    this.#reap(PROCESSES, 0);
    const at = this.#take(PROCESSES, process.pid);
    if (at === null) return;
    Atomics.store(this.#cells, at + 1, ROLES.indexOf(role) * 1024 + workerId + 1);
    Atomics.store(this.#cells, at + 2, 0);
    Atomics.store(this.#cells, at + 3, 0);
  }

  /** Spooled by this process, for the sum of all. */
  setSpooledBytes(bytes: number): void {
    const at = this.#own();
    if (at !== null) Atomics.store(this.#cells, at + 2, Math.ceil(bytes / KIB));
  }

  /** By the processes that are there. */
  get spooledBytes(): number {
    return this.#entries(PROCESSES).reduce((sum, at) => sum + this.#cell(at + 2) * KIB, 0);
  }

  /** Those that are alive, without SQL runners. */
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
      this.#reap(RUNNERS, 1);
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

  /** Of all processes of the server. */
  runners(): BoardRunner[] {
    return this.#entries(RUNNERS).flatMap((at) => {
      const pid = this.#cell(at);
      const owner = this.#cell(at + 1);
      const bytes = residentBytes(pid);
      // Just started, or ended: its owner removes it, if there still is one.
      if (bytes === 0 && owner !== 0 && residentBytes(owner) === 0)
        Atomics.compareExchange(this.#cells, at, pid, 0);
      if (bytes === 0) return [];
      return [{ pid, owner, bytes, doomed: this.#cell(at + 2) > 0, committing: this.#cell(at + 3) === 1 }];
    });
  }

  get runnerCount(): number {
    return this.#entries(RUNNERS).length;
  }

  /**
   * Kills a runner, of whichever process, for its memory. False if somebody else has done so, or it
   * has gone.
   */
  doom({ pid, bytes }: BoardRunner): boolean {
    const at = this.#entries(RUNNERS).find((entry) => this.#cell(entry) === pid);
    if (at === undefined) return false;
    // Its number may be another process's by now, which is no business of this server.
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
   *
   * @param client Address; "" for the server itself, which no share binds.
   * @returns what removes it; null when the server, or the client, has as many as it may.
   */
  beginStatement(client: string, bounds: { max: number; perClient: number }): (() => void) | null {
    const own = hashOf(client);
    if (this.#mayBegin(own, bounds) !== null) this.#reap(STATEMENTS, 0);
    if (this.#mayBegin(own, bounds) !== null) return null;
    const at = this.#take(STATEMENTS, process.pid);
    if (at === null) return null;
    Atomics.store(this.#cells, at + 1, own);
    return () => void Atomics.compareExchange(this.#cells, at, process.pid, 0);
  }

  /** Statements that run, in all processes. */
  get statements(): number {
    return this.#entries(STATEMENTS).length;
  }

  /** null: one more may begin. */
  #mayBegin(own: number, { max, perClient }: { max: number; perClient: number }): "server" | "client" | null {
    const entries = this.#entries(STATEMENTS);
    if (entries.length >= max) return "server";
    if (own === 0) return null;
    const ofClient = entries.filter((at) => this.#cell(at + 1) === own).length;
    return ofClient >= perClient ? "client" : null;
  }

  #own(): number | null {
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

  /** A free entry, its first cell set; null when all are taken. */
  #take({ first, count, cells }: typeof PROCESSES, pid: number): number | null {
    for (let i = 0; i < count; i++) {
      const at = first + i * cells;
      if (Atomics.compareExchange(this.#cells, at, 0, pid) === 0) return at;
    }
    return null;
  }

  /**
   * Removes entries whose process has gone.
   *
   * @param cell Which of the entry's cells holds the pid.
   */
  #reap(kind: typeof PROCESSES, cell: number): void {
    for (const at of this.#entries(kind)) {
      const pid = this.#cell(at + cell);
      if (!isAlive(pid)) Atomics.compareExchange(this.#cells, at, pid, 0);
    }
  }
}

/**
 * Made by whoever comes first: its length is the same for all, and a file's new bytes are zeros.
 */
function mapped(path: string): Int32Array {
  const fd = openSync(path, "a+", 0o600);
  ftruncateSync(fd, CELLS * 4);
  closeSync(fd);
  const bytes = Bun.mmap(path, { shared: true });
  return new Int32Array(bytes.buffer, bytes.byteOffset, CELLS);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * 0 stands for the server itself. Two addresses with the same number share their bound, no more.
 */
function hashOf(client: string): number {
  if (client === "") return 0;
  return Number(Bun.hash(client) & 0x7fffffffn) || 1;
}

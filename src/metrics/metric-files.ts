/**
 * The figures of all processes of a server that count, in files of its runtime folder: each worker
 * and the hub write their own every second, and whoever is asked reads all. So one scrape has the
 * whole server, and what a process has counted stays when it dies. A file that is read is also what
 * the next reader finds or less than that: a count never goes back.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { residentBytes } from "../memory/resident.ts";
import { isObject } from "../protocol/json.ts";
import { addSamples, type Samples } from "./samples.ts";

const PREFIX = "metrics-";
const ENDED = `${PREFIX}ended.json`;
/** A worker that has written nothing for so long is gone, or stuck. */
const SILENT_MS = 10_000;

type MetricRole = "worker" | "hub";

interface MetricFile {
  role: MetricRole;
  pid: number;
  atMs: number;
  samples: Samples;
}

export class MetricFiles {
  readonly #folder: string;
  readonly #role: MetricRole;
  readonly #own: string;

  /** @param role of this process; one may have both. */
  constructor(folder: string, role: MetricRole) {
    this.#folder = folder;
    this.#role = role;
    this.#own = join(folder, `${PREFIX}${role}-${process.pid}.json`);
  }

  write(samples: Samples): void {
    const file: MetricFile = { role: this.#role, pid: process.pid, atMs: Date.now(), samples };
    put(this.#own, file);
  }

  /** Of all, those that have ended included. */
  read(): Samples {
    const all: Samples = {};
    let workers = 0;
    for (const { role, pid, atMs, samples } of this.#files()) {
      const isOver = pid === 0 || residentBytes(pid) === 0;
      if (role === "worker" && !isOver && Date.now() - atMs < SILENT_MS) workers++;
      addSamples(all, samples, isOver);
    }
    all.stock_db_workers = { "": workers };
    return all;
  }

  /**
   * What ended processes have counted becomes one file, so that there aren't more and more. Call it
   * from one process at a time.
   */
  fold(): void {
    const ended: Samples = {};
    const names: string[] = [];
    for (const { name, pid, samples } of this.#files()) {
      if (pid !== 0 && residentBytes(pid) > 0) continue;
      addSamples(ended, samples, true);
      if (pid !== 0) names.push(name);
    }
    if (names.length === 0) return;
    put(join(this.#folder, ENDED), { role: "worker", pid: 0, atMs: Date.now(), samples: ended });
    for (const name of names) rmSync(join(this.#folder, name), { force: true });
  }

  *#files(): Generator<MetricFile & { name: string }> {
    for (const name of readdirSync(this.#folder)) {
      if (!name.startsWith(PREFIX) || !name.endsWith(".json")) continue;
      const file = readFile(join(this.#folder, name));
      if (file !== null) yield { ...file, name };
    }
  }
}

function put(path: string, file: MetricFile): void {
  const made = `${path}.new`;
  writeFileSync(made, JSON.stringify(file), { mode: 0o600 });
  renameSync(made, path);
}

/** Null: it has gone meanwhile. */
function readFile(path: string): MetricFile | null {
  try {
    const file: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isObject(file) ? (file as unknown as MetricFile) : null;
  } catch {
    return null;
  }
}

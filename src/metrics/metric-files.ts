/**
 * The figures of all workers of a server, in files of its runtime folder: each writes its own every
 * second, and whoever is asked reads all. So one scrape has the whole server, and what a worker has
 * counted stays when it dies. A file that is read is also what the next reader finds or less than
 * that: a count never goes back.
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

interface MetricFile {
  pid: number;
  atMs: number;
  samples: Samples;
}

export class MetricFiles {
  readonly #folder: string;
  readonly #own: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#own = join(folder, `${PREFIX}${process.pid}.json`);
  }

  write(samples: Samples): void {
    const file: MetricFile = { pid: process.pid, atMs: Date.now(), samples };
    put(this.#own, file);
  }

  /** Of all workers, those that have ended included. */
  read(): Samples {
    const all: Samples = {};
    let workers = 0;
    for (const { pid, atMs, samples } of this.#files()) {
      const isOver = pid === 0 || residentBytes(pid) === 0;
      if (!isOver && Date.now() - atMs < SILENT_MS) workers++;
      addSamples(all, samples, isOver);
    }
    all.stock_db_workers = { "": workers };
    return all;
  }

  /**
   * What ended workers have counted becomes one file, so that there aren't more and more. Call it
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
    put(join(this.#folder, ENDED), { pid: 0, atMs: Date.now(), samples: ended });
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

/**
 * Notes in a small file what the writer is doing; the hub maps the file, and others read it. A hub
 * that hangs in the database can't be asked, as its event loop is blocked. A note costs 0.1 µs.
 *
 * Bytes, little endian: step (int32, 0 between commits), saves of the transaction, kind of the
 * save, its rows, length of its ticker, how often the note was written (int32 each), then the
 * ticker in UTF-8.
 */
import { closeSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CommitProgress, CommitStep, CommitSubject } from "../storage/contract.ts";
import { KIND_NAMES, KINDS, type KindName } from "../storage/model/kinds.ts";

export const NOTE_FILE = "note";
/** The longest ticker has 1,024 characters, of at most three bytes. */
const TICKER_BYTES_MAX = 3 * 1_024;
/** Ten times what was measured. */
const COMMIT_MS_PER_ROW = 0.01;
const NUMBERS = 6;
const FILE_BYTES = NUMBERS * 4 + TICKER_BYTES_MAX;
const IDLE = 0;
const STEPS: readonly CommitStep[] = ["begin", "rows", "update log", "commit"];
const STEP_TEXTS: Record<CommitStep, string> = {
  begin: "beginning the transaction",
  rows: "storing its rows",
  "update log": "writing the update log, behind its rows",
  commit: "committing, behind its rows",
};

/** What the hub was doing when the note was read. */
export interface WriterState {
  step: CommitStep;
  /** Number of saves in the transaction. */
  saves: number;
  kind: KindName;
  ticker: string;
  rows: number;
}

/** The hub's side. */
export class WriterNote implements CommitProgress {
  readonly #numbers: Int32Array;
  readonly #ticker: Uint8Array;
  readonly #encoder = new TextEncoder();

  constructor(runtimeDir: string) {
    const path = join(runtimeDir, NOTE_FILE);
    // Cleared for each hub: the last one may have died in the middle of a note.
    const fd = openSync(path, "w", 0o600);
    ftruncateSync(fd, FILE_BYTES);
    closeSync(fd);
    const bytes = Bun.mmap(path, { shared: true });
    this.#numbers = new Int32Array(bytes.buffer, bytes.byteOffset, NUMBERS);
    this.#ticker = bytes.subarray(NUMBERS * 4);
  }

  begin(first: CommitSubject, saves: number): void {
    this.#numbers[1] = saves;
    this.at("begin", first);
  }

  at(step: CommitStep, save?: CommitSubject): void {
    const numbers = this.#numbers;
    if (save !== undefined) {
      numbers[2] = KIND_NAMES.indexOf(save.kind);
      numbers[3] = save.rows.length;
      numbers[4] = this.#encoder.encodeInto(save.ticker, this.#ticker).written;
    }
    numbers[0] = 1 + STEPS.indexOf(step);
    numbers[5]! += 1;
  }

  end(): void {
    this.#numbers[0] = IDLE;
  }
}

/** A number that changes during a commit: it tells a busy hub from one that hangs. */
export function readProgress(runtimeDir: string): number {
  return readFile(runtimeDir)?.readInt32LE(5 * 4) ?? 0;
}

/**
 * How much longer than others a commit may be silent: it can't tell that it gets on, and that of
 * millions of deleted rows writes hundreds of MB.
 */
export function readAllowanceMs(runtimeDir: string): number {
  const state = readNote(runtimeDir);
  return state?.step === "commit" ? state.rows * COMMIT_MS_PER_ROW : 0;
}

/** @returns null between commits, or without a note. */
export function readNote(runtimeDir: string): WriterState | null {
  const bytes = readFile(runtimeDir);
  if (bytes === null) return null;
  const number = (index: number): number => bytes.readInt32LE(index * 4);
  const step = STEPS[number(0) - 1];
  const kind = KIND_NAMES[number(2)];
  if (step === undefined || kind === undefined) return null;
  const ticker = bytes.toString("utf8", NUMBERS * 4, NUMBERS * 4 + number(4));
  return { step, saves: number(1), kind, ticker, rows: number(3) };
}

function readFile(runtimeDir: string): Buffer | null {
  try {
    const bytes = readFileSync(join(runtimeDir, NOTE_FILE));
    // The next hub may be creating its own.
    return bytes.length < FILE_BYTES ? null : bytes;
  } catch {
    return null; // no hub has been there yet
  }
}

/** Says in the log where a hub hangs. */
export function describeHang(runtimeDir: string): string {
  const state = readNote(runtimeDir);
  return state === null ? "it was at no save" : describeState(state);
}

function describeState({ step, saves, kind, ticker, rows }: WriterState): string {
  const others = saves === 1 ? "alone" : `one of ${saves}`;
  return `it was at a save of ${ticker} (${KINDS[kind].label}, ${rows} rows; ${others} in its transaction): ${STEP_TEXTS[step]}`;
}

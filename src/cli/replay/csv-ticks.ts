/** Reads the ticks of one CSV file while they are played, so its rows must be sorted by time. */
import { type ColumnPlan, CsvError, isBars, planColumns, readRecord } from "../../market/csv.ts";
import { microsOfStamp } from "../../market/stamp-micros.ts";
import { AmbiguousKindError, INFERENCE_ROWS, inferKind } from "../import/infer-kind.ts";
import { type CsvRow, readRows } from "../import/rows.ts";
import type { Source } from "../import/source.ts";
import type { ReplayFile } from "./options.ts";
import { ReplaySourceError, type ReplayTick } from "./tick.ts";

const BATCH_ROWS = 256;
const TICKER_COLUMNS = ["ticker", "symbol"];

/** @throws ReplaySourceError naming file and line. @throws SourceError The file can't be read. */
export async function* csvTicks(source: Source, file: ReplayFile): AsyncGenerator<ReplayTick[]> {
  const rows = readRows(source);
  try {
    const first = await rows.next();
    if (first.done) throw new ReplaySourceError(`${source.name} is empty, expected a header and rows`);
    const firstRows: CsvRow[] = [];
    for (let row = await rows.next(); !row.done; row = await rows.next()) {
      if (firstRows.push(row.value) === INFERENCE_ROWS) break;
    }
    const reader = withLocation(
      source,
      first.value,
      () => new TickReader(first.value.fields, firstRows, file),
    );
    const read = (row: CsvRow): ReplayTick => withLocation(source, row, () => reader.read(row.fields));
    let batch = firstRows.map(read);
    for await (const row of rows) {
      if (batch.length >= BATCH_ROWS) {
        yield batch;
        batch = [];
      }
      batch.push(read(row));
    }
    yield batch;
  } finally {
    // Closes the file even when rows are left.
    await rows.return(undefined);
  }
}

class TickReader {
  readonly #plan: ColumnPlan;
  readonly #ticker: string | null;
  readonly #tickerIndex: number;
  #lastStamp = "";

  constructor(header: readonly string[], firstRows: readonly CsvRow[], { ticker, type }: ReplayFile) {
    const kind =
      type ??
      inferKind(
        header,
        firstRows.map((row) => row.fields),
      );
    if (isBars(kind)) {
      throw new CsvError(
        `the columns say ${kind} bars, and a replay plays ticks: save bars with stock-db-server import`,
      );
    }
    this.#plan = planColumns(header, kind);
    this.#ticker = ticker;
    this.#tickerIndex = header.findIndex((name) => TICKER_COLUMNS.includes(name.trim().toLowerCase()));
    if (ticker === null && this.#tickerIndex < 0)
      throw new CsvError('no column "ticker" or "symbol": expected one, or --ticker T');
  }

  /** @throws CsvError */
  read(fields: readonly string[]): ReplayTick {
    const record = readRecord(this.#plan, fields);
    const stamp = String(record.timestamp);
    if (stamp < this.#lastStamp) {
      throw new CsvError(
        `timestamp ${stamp} comes after ${this.#lastStamp}: a replay goes by time, expected the rows sorted by it`,
      );
    }
    this.#lastStamp = stamp;
    const ticker = this.#ticker ?? fields[this.#tickerIndex] ?? "";
    if (ticker === "") throw new CsvError("expected a ticker, got nothing");
    record.size ??= null;
    if (record.seq === null) throw new CsvError('column "seq": expected a whole number from 0, got nothing');
    return { atMicros: microsOfStamp(stamp), ticker, type: this.#plan.kind, record };
  }
}

function withLocation<T>(source: Source, row: CsvRow, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CsvError || error instanceof AmbiguousKindError)
      throw new ReplaySourceError(`${source.name}:${row.line}: ${error.message}`);
    throw error;
  }
}

/** Reads the ticks of one file while they are played, so its rows must be sorted by time. */
import { CsvError, isBars, type ReadingRules, readRecord, type SourceField } from "../../market/csv.ts";
import { microsOfStamp } from "../../market/stamp-micros.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import type { SourceRow } from "../import/csv-rows.ts";
import { nameOfKind } from "../import/describe-plan.ts";
import { DoubtError } from "../import/doubt.ts";
import { decideLayout, type Layout, NO_CHOICES } from "../import/layout.ts";
import { isRowKind } from "../import/row-columns.ts";
import type { Source } from "../import/source.ts";
import { openTable, placeOf } from "../import/table.ts";
import type { ReplayFile } from "./options.ts";
import { ReplaySourceError, type ReplayTick } from "./tick.ts";

const BATCH_ROWS = 256;
/** Rows that decide what the columns are. */
const SAMPLE_ROWS = 100;

/** @throws ReplaySourceError naming file and line. @throws SourceError The file can't be read. */
export async function* csvTicks(source: Source, file: ReplayFile): AsyncGenerator<ReplayTick[]> {
  const table = await openTable(source, { skipLines: 0, separator: null });
  const { columns, batches } = table;
  try {
    const sample: SourceRow[] = [];
    while (sample.length < SAMPLE_ROWS) {
      const batch = await batches.next();
      if (batch.done) break;
      sample.push(...batch.value);
    }
    if (sample.length === 0)
      throw new ReplaySourceError(`${source.name} is empty, expected a header and rows`);
    const head = {
      where: (line: number) => placeOf(table, line),
      columns,
      rows: sample,
      ticker: () => null,
      everyRow: async (visit: (row: SourceRow) => void) => sample.forEach(visit),
    };
    const layout = await decideLayout([head], { ...NO_CHOICES, kind: file.type }).catch((error: Error) => {
      throw located(source.name, error);
    });
    const reader = withLocation(source.name, () => new TickReader(layout, file));
    const read = (row: SourceRow): ReplayTick =>
      withLocation(placeOf(table, row.line), () => reader.read(row.fields));
    yield* inBatches(sample.slice(layout.header.rows).map(read));
    for await (const rows of batches) yield* inBatches(rows.map(read));
  } finally {
    // Closes the file even when rows are left.
    await batches.return(undefined);
  }
}

function* inBatches(ticks: ReplayTick[]): Generator<ReplayTick[]> {
  for (let at = 0; at < ticks.length; at += BATCH_ROWS) yield ticks.slice(at, at + BATCH_ROWS);
}

class TickReader {
  readonly #layout: Layout;
  readonly #rules: ReadingRules;
  readonly #ticker: string | null;
  #lastStamp = "";

  constructor(layout: Layout, { ticker }: ReplayFile) {
    if (isRowKind(layout.kind) || isBars(layout.kind)) {
      throw new CsvError(
        `the columns say ${nameOfKind(layout.kind)}s, and a replay plays ticks: save them with stock-db-server import`,
      );
    }
    this.#layout = layout;
    this.#rules = layout.rules();
    this.#ticker = ticker;
    if (ticker === null && layout.tickerIndex === null)
      throw new CsvError('no column "ticker" or "symbol": expected one, or --ticker T');
  }

  /** @throws CsvError */
  read(fields: readonly SourceField[]): ReplayTick {
    const { plan, tickerIndex } = this.#layout;
    const named = tickerIndex === null ? "" : String(fields[tickerIndex] ?? "").trim();
    const ticker = this.#ticker ?? named;
    if (ticker === "") throw new CsvError("expected a ticker, got nothing");
    for (const check of this.#layout.checks) check(fields);
    const record = readRecord(plan, fields, this.#rules, ticker) as JsonRecord;
    const stamp = String(record.timestamp);
    if (stamp < this.#lastStamp) {
      throw new CsvError(
        `timestamp ${stamp} comes after ${this.#lastStamp}: a replay goes by time, expected the rows sorted by it`,
      );
    }
    this.#lastStamp = stamp;
    record.size ??= null;
    return { atMicros: microsOfStamp(stamp), ticker, type: plan.kind, record };
  }
}

function withLocation<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw located(place, error as Error);
  }
}

function located(place: string, error: Error): Error {
  if (!(error instanceof CsvError || error instanceof DoubtError)) return error;
  return new ReplaySourceError(`${place}: ${error.message}`);
}

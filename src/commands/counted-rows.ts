/**
 * Counts the rows that a caller reads and writes, at the reader and the writer that all commands
 * and doors use.
 */
import type { JsonRows, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import type { CommandContext } from "./context.ts";

/** Told of rows as they are known: of a large answer in parts. */
export type NoteRows = (rows: number) => void;

/** The same context. */
export function countedContext(context: CommandContext, note: NoteRows): CommandContext {
  return {
    ...context,
    reader: new CountedReader(context.reader, note),
    async save(save, ...rest) {
      const outcome = await context.save(save, ...rest);
      if (outcome.ok) note(save.rows.length);
      return outcome;
    },
    saveTogether:
      context.saveTogether === null
        ? null
        : async (saves, ...rest) => {
            const outcomes = await context.saveTogether!(saves, ...rest);
            for (const [index, { ok }] of outcomes.entries()) if (ok) note(saves[index]!.rows.length);
            return outcomes;
          },
    async edit(edit, call) {
      const outcome = await context.edit(edit, call);
      if (outcome.ok) note(outcome.rows);
      return outcome;
    },
    async executeSql(request) {
      const answer = await context.executeSql(request);
      note(Math.max(answer.rows, answer.changed ?? 0));
      return answer;
    },
  };
}

/** The same context, of which those are told that are read. */
export function countedReads(context: CommandContext, note: NoteRows): CommandContext {
  return {
    ...context,
    reader: new CountedReader(context.reader, note),
    async executeSql(request) {
      const answer = await context.executeSql(request);
      note(answer.rows);
      return answer;
    },
  };
}

export async function* countedColumns(
  reader: Pick<StockReader, "columns">,
  query: ColumnQuery,
  note: NoteRows,
): AsyncGenerator<ColumnBatch> {
  for await (const batch of reader.columns(query)) {
    note(batch.rows);
    yield batch;
  }
}

class CountedReader implements StockReader {
  readonly updates: UpdateReader;
  /** Absent where the reader has none. */
  readonly prices?: NonNullable<StockReader["prices"]>;
  readonly #reader: StockReader;
  readonly #note: NoteRows;

  constructor(reader: StockReader, note: NoteRows) {
    this.#reader = reader;
    this.#note = note;
    this.updates = countedUpdates(reader, note);
    const { prices } = reader;
    if (prices !== undefined)
      this.prices = (question, tickers, day) => {
        note(tickers.length);
        return prices.call(reader, question, tickers, day);
      };
  }

  rows: StockReader["rows"] = (range, signal) =>
    noteAnsweredRows(this.#reader.rows(range, signal), this.#note);
  newest: StockReader["newest"] = (query) => noteAnsweredRows(this.#reader.newest(query), this.#note);
  newestOfParts: StockReader["newestOfParts"] = (query, signal) =>
    noteAnsweredRows(this.#reader.newestOfParts(query, signal), this.#note);
  latestPrice: StockReader["latestPrice"] = (ticker) => this.#one().latestPrice(ticker);
  previousClose: StockReader["previousClose"] = (ticker) => this.#one().previousClose(ticker);
  openingPrice: StockReader["openingPrice"] = (ticker, day) => this.#one().openingPrice(ticker, day);
  dailyVolume: StockReader["dailyVolume"] = (ticker, day) => this.#one().dailyVolume(ticker, day);
  parts: StockReader["parts"] = (kind, ticker) => this.#reader.parts(kind, ticker);
  tickers: StockReader["tickers"] = (kind, after, limit) => this.#reader.tickers(kind, after, limit);

  columns: StockReader["columns"] = (query) => countedColumns(this.#reader, query, this.#note);

  notes: StockReader["notes"] = (from, to, limit) => this.#reader.notes(from, to, limit);
  sizeBytes: StockReader["sizeBytes"] = () => this.#reader.sizeBytes();
  probe: StockReader["probe"] = (via) => this.#reader.probe(via);
  pool: StockReader["pool"] = () => this.#reader.pool();
  close: StockReader["close"] = () => undefined;

  #one(): StockReader {
    this.#note(1);
    return this.#reader;
  }
}

/** The same rows. */
export function noteAnsweredRows(
  found: JsonRows | Promise<JsonRows>,
  note: NoteRows,
): JsonRows | Promise<JsonRows> {
  return found instanceof Promise ? found.then((rows) => countedRows(rows, note)) : countedRows(found, note);
}

function countedRows(found: JsonRows, note: NoteRows): JsonRows {
  if (found.empty) return found;
  if ("chunks" in found) return { empty: false, chunks: new CountedPieces(found.chunks, note) };
  // An answer that is kept is counted once.
  found.rows ??= 1 + new RowEnds().countIn(found.text);
  note(found.rows);
  return found;
}

/** Knows how many rows it has given. */
interface KnownPieces {
  readonly rows: number;
}

/** Not a generator: `return()` before the first `next()` must reach what gives the pieces. */
class CountedPieces implements AsyncIterableIterator<string | Uint8Array>, KnownPieces {
  /** That were given. */
  rows = 0;
  readonly #pieces: AsyncIterator<string | Uint8Array>;
  readonly #known: KnownPieces | null;
  readonly #note: NoteRows;
  readonly #ends = new RowEnds();

  constructor(pieces: AsyncIterable<string | Uint8Array>, note: NoteRows) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    this.#known = "rows" in this.#pieces ? (this.#pieces as unknown as KnownPieces) : null;
    this.#note = note;
    // The first row has no end of another before it.
    if (this.#known === null) this.#count(1);
  }

  async next(): Promise<IteratorResult<string | Uint8Array>> {
    const step = await this.#pieces.next();
    if (this.#known !== null) this.#count(this.#known.rows - this.rows);
    else if (step.done !== true) this.#count(this.#ends.countIn(step.value));
    return step;
  }

  #count(more: number): void {
    this.rows += more;
    this.#note(more);
  }

  async return(): Promise<IteratorResult<string | Uint8Array>> {
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/**
 * Between two rows of an answer. No text holds it, as quotes in texts are escaped; only a list of
 * objects within a row counts too.
 */
const NEXT_ROW = '},{"';

/** Counts the rows after the first one, also where a piece ends between two. */
class RowEnds {
  #tail = "";

  countIn(piece: string | Uint8Array): number {
    const keep = NEXT_ROW.length - 1;
    if (typeof piece === "string") {
      const text = this.#tail + piece;
      this.#tail = text.slice(-keep);
      return occurrences(text, NEXT_ROW);
    }
    // To look through a text takes a fifth of the time.
    const { buffer, byteOffset, byteLength } = piece;
    return this.countIn(Buffer.from(buffer, byteOffset, byteLength).toString("latin1"));
  }
}

function occurrences(text: string, wanted: string): number {
  let count = 0;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) count++;
  return count;
}

/** An update counts as one row, whatever its save had. */
function countedUpdates({ updates }: StockReader, note: NoteRows): UpdateReader {
  return {
    epoch: () => updates.epoch(),
    keptSinceMs: () => updates.keptSinceMs(),
    logBytes: () => updates.logBytes(),
    positions: (tickers) => updates.positions(tickers),
    newest: (ticker) => updates.newest(ticker),
    async after(...asked) {
      const found = await updates.after(...asked);
      note(found.length);
      return found;
    },
    async snapshot(ticker) {
      const found = await updates.snapshot(ticker);
      note(found.newest.length);
      return found;
    },
  };
}

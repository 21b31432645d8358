/** The bytes of an answer, in any format. */
import { type Encoder, FormatError } from "../formats/contract.ts";
import type { CountType, FormatColumn } from "../formats/format-columns.ts";
import type { JsonForm } from "../formats/json.ts";
import { JSON_COLUMNS_ROWS_MAX } from "../formats/json-columns.ts";
import { openEncoder } from "../formats/open-encoder.ts";
import { CountTypeError } from "../formats/typed-columns.ts";
import type { Pieces } from "../protocol/clients-pace.ts";
import { badRequest } from "../protocol/errors.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";
import { turn } from "../time/pauses.ts";
import { sliceBatch } from "./answer-batches.ts";
import type { AnswerTable } from "./contract.ts";

export const TABLE_FORMATS = ["json", "columns", "ndjson", "csv", "arrow", "parquet"] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** An answer of fewer rows is made as a whole: all is known before its head. */
const WHOLE_ROWS_MAX = 16_384;
/** The same of a matrix, whose rows are long. */
const WHOLE_CELLS_MAX = 16 * WHOLE_ROWS_MAX;
/** Encoded in one turn of the event loop: some milliseconds of text, less of Arrow. */
const TURN_ROWS = 4_096;
const TURN_ROWS_OF_ARROW = 8_192;
/** What Parquet's library encodes at once, some 15 ms. */
const ROW_GROUP_ROWS = 8_192;

interface TableNotes {
  nextPage: string | null;
  warnings: readonly string[];
}

export interface EncodeOptions {
  format: TableFormat;
  /** How the rows stand in JSON; `end` is what follows them. */
  json(columns: readonly FormatColumn[], end: () => Record<string, unknown>): JsonForm;
  /** The rows have a bound: all of them are gathered before the first byte. */
  isPage: boolean;
  /** Of which table, for the types of its counts. */
  table: string;
  counts: CountTypeMemory;
  /** Asked once before the head, and in JSON again at the end. */
  warnings(): Promise<readonly string[]>;
  /** An answer breaks off after its first byte. */
  onBroken(error: unknown): void;
}

export interface EncodedTable {
  /** Of all rows, or up to the first byte. */
  notes: TableNotes;
  /** The answer has all its rows, and `notes` are final. */
  isWhole: boolean;
  pieces: Pieces;
  /** Of a whole answer. */
  bytes: Uint8Array | null;
}

/**
 * Types of counts by table and column, of answers that were broken off because a count didn't fit.
 * There are as many as there are such columns.
 */
export class CountTypeMemory {
  readonly #types = new Map<string, CountType>();

  of(columns: readonly FormatColumn[], table: string): FormatColumn[] {
    return columns.map((column) => {
      const type = column.type === "int64" ? this.#types.get(`${table}.${column.name}`) : undefined;
      return type === undefined ? column : { ...column, type };
    });
  }

  note(table: string, { column, type }: CountTypeError): void {
    this.#types.set(`${table}.${column}`, type);
  }
}

/**
 * Takes the first rows, and makes bytes of them. Nothing has left by then: what can't be encoded is
 * an error of its own.
 * @throws RequestError 400 the format has no place for a value.
 */
export async function encodeTable(table: AnswerTable, options: EncodeOptions): Promise<EncodedTable> {
  const batches = table.batches[Symbol.asyncIterator]();
  try {
    const { gathered, isWhole } = await gather(batches, gatheredRows(options, table.columns.length));
    const notes = { nextPage: isWhole ? table.nextPage() : null, warnings: await options.warnings() };
    const run = new Encoding(table, { ...options, notes });
    const first = await run.begin(gathered);
    if (!isWhole) return { notes, isWhole, bytes: null, pieces: rest(run, first, batches, options) };
    const bytes = Buffer.concat([...first, await run.end(notes)]);
    return { notes, isWhole, bytes, pieces: onePiece(bytes) };
  } catch (error) {
    await batches.return?.();
    if (error instanceof FormatError) throw badRequest(`format: ${options.format}: ${error.message}`);
    throw error;
  }
}

/** What has to be there before the first byte. */
function gatheredRows({ format, isPage }: EncodeOptions, columns: number): number {
  if (isPage) return Number.POSITIVE_INFINITY;
  return format === "columns"
    ? JSON_COLUMNS_ROWS_MAX
    : Math.min(WHOLE_ROWS_MAX, Math.ceil(WHOLE_CELLS_MAX / columns));
}

async function gather(
  batches: AsyncIterator<ColumnBatch>,
  rowsMax: number,
): Promise<{ gathered: ColumnBatch[]; isWhole: boolean }> {
  const gathered: ColumnBatch[] = [];
  for (let rows = 0; rows < rowsMax; ) {
    const { done, value } = await batches.next();
    if (done === true) return { gathered, isWhole: true };
    rows += value.rows;
    gathered.push(value);
  }
  // An answer may have just so many rows.
  const { done, value } = await batches.next();
  if (done !== true) gathered.push(value);
  return { gathered, isWhole: done === true };
}

function onePiece(bytes: Uint8Array): Pieces {
  let isTaken = false;
  return {
    next() {
      if (isTaken) return null;
      isTaken = true;
      return bytes;
    },
  };
}

/** What is left of a stream. An error breaks it off: its end would tell that it is whole. */
function rest(
  run: Encoding,
  first: Uint8Array[],
  batches: AsyncIterator<ColumnBatch>,
  options: EncodeOptions,
): Pieces {
  const waiting = [...first];
  let isEnded = false;
  const next = async (): Promise<Uint8Array | null> => {
    for (;;) {
      const piece = waiting.shift();
      if (piece !== undefined && piece.length > 0) return piece;
      if (piece !== undefined) continue;
      if (isEnded) return null;
      const { done, value } = await batches.next();
      isEnded = done === true;
      if (done === true) waiting.push(await run.end(null));
      else waiting.push(...(await run.encode(value)));
    }
  };
  return {
    async next() {
      try {
        return await next();
      } catch (error) {
        if (error instanceof CountTypeError) options.counts.note(options.table, error);
        options.onBroken(error);
        await batches.return?.();
        throw error;
      }
    },
    cancel: () => batches.return?.(),
  };
}

/** One run of an encoder over the batches of an answer. */
class Encoding {
  readonly #table: AnswerTable;
  readonly #options: EncodeOptions & { notes: TableNotes };
  #encoder: Encoder | null = null;
  #last: TableNotes | null = null;

  constructor(table: AnswerTable, options: EncodeOptions & { notes: TableNotes }) {
    this.#table = table;
    this.#options = options;
  }

  /** Begins anew with a wider type for a count that doesn't fit. */
  async begin(gathered: readonly ColumnBatch[]): Promise<Uint8Array[]> {
    const { counts, table } = this.#options;
    let columns = counts.of(this.#table.columns, table);
    for (;;) {
      this.#encoder = await this.#open(columns);
      try {
        const pieces: Uint8Array[] = [];
        for (const batch of gathered) pieces.push(...(await this.encode(batch)));
        return pieces;
      } catch (error) {
        if (!(error instanceof CountTypeError)) throw error;
        const { column, type } = error;
        columns = columns.map((each) => (each.name === column ? { ...each, type } : each));
      }
    }
  }

  /** In turns of the event loop. */
  async encode(batch: ColumnBatch): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    const rows = this.#options.format === "arrow" ? TURN_ROWS_OF_ARROW : TURN_ROWS;
    for (let at = 0; at < batch.rows; at += rows) {
      pieces.push(this.#encoder!.encode(sliceBatch(batch, at, at + rows)));
      await turn();
    }
    return pieces;
  }

  /** @param notes null: they are asked for again. */
  async end(notes: TableNotes | null): Promise<Uint8Array> {
    const { warnings } = this.#options;
    this.#last = notes ?? { nextPage: this.#table.nextPage(), warnings: await warnings() };
    return this.#encoder!.end();
  }

  async #open(columns: readonly FormatColumn[]): Promise<Encoder> {
    const { format, json } = this.#options;
    switch (format) {
      case "json": {
        const { JsonEncoder } = await import("../formats/json.ts");
        return new JsonEncoder(json(columns, () => this.#ending()));
      }
      case "columns": {
        const { JsonColumnsEncoder } = await import("../formats/json-columns.ts");
        return new JsonColumnsEncoder(columns, () => this.#ending());
      }
      default:
        return openEncoder(format === "arrow" ? "arrows" : format, columns, this.#table.names, {
          metadata: this.#metadata(),
          rowGroupRows: ROW_GROUP_ROWS,
        });
    }
  }

  /** Behind the rows of JSON. */
  #ending(): Record<string, unknown> {
    const { nextPage, warnings } = this.#last!;
    const { positions } = this.#table;
    return {
      next_page_token: nextPage,
      ...(positions === null
        ? {}
        : { epoch: positions.epoch, positions: Object.fromEntries(positions.byTicker) }),
      ...(warnings.length === 0 ? {} : { warnings }),
    };
  }

  /** Beside the schema of Arrow and Parquet. */
  #metadata(): Map<string, string> {
    const { notes } = this.#options;
    const { positions } = this.#table;
    const entries: [string, string][] = [];
    if (notes.nextPage !== null) entries.push(["next_page_token", notes.nextPage]);
    if (notes.warnings.length > 0) entries.push(["warnings", JSON.stringify(notes.warnings)]);
    if (positions !== null)
      entries.push(
        ["epoch", positions.epoch],
        ["positions", JSON.stringify(Object.fromEntries(positions.byTicker))],
      );
    return new Map(entries);
  }
}

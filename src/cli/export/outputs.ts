/** Files of an export: one for each series, or one for all. */
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Encoder } from "../../formats/contract.ts";
import {
  constantName,
  type FileCountTypes,
  type FormatColumn,
  formatColumns,
  hasFewParts,
} from "../../formats/format-columns.ts";
import { openEncoder } from "../../formats/open-encoder.ts";
import { errorCode } from "../../observe/file-errors.ts";
import type { ColumnBatch } from "../../storage/model/columns.ts";
import { type KindName, kindOf, seriesColumns } from "../../storage/model/kinds.ts";
import { batchOfRun, type SeriesRun } from "../../storage/series-runs.ts";
import { FileNames } from "./file-names.ts";
import { endingOf, type FileForm } from "./options.ts";
import { openFile, type Sink } from "./sink.ts";

const SHOWN_LENGTH_MAX = 40;

/** What the rows of a kind are written to, in the order of the walk. */
export interface KindOutput {
  /** So far. */
  readonly files: number;
  write(batch: ColumnBatch, runs: readonly SeriesRun[]): Promise<void>;
  end(): Promise<void>;
  /** Nothing of it is left. */
  abandon(): Promise<void>;
}

interface OutputOptions {
  kind: KindName;
  form: FileForm;
  counts: FileCountTypes;
}

/** A sink, and the encoder before it. */
class RowFile {
  readonly #kind: KindName;
  readonly #sink: Sink;
  readonly #encoder: Encoder;

  constructor(kind: KindName, sink: Sink, encoder: Encoder) {
    this.#kind = kind;
    this.#sink = sink;
    this.#encoder = encoder;
  }

  async write(batch: ColumnBatch): Promise<void> {
    const bytes = this.#encoder.encode(withConstant(this.#kind, batch));
    if (bytes.length > 0) await this.#sink.write(bytes);
  }

  async end(): Promise<void> {
    await this.#sink.write(this.#encoder.end());
    await this.#sink.end();
  }

  abandon(): Promise<void> {
    return this.#sink.abandon();
  }
}

function withConstant(kind: KindName, { rows, columns }: ColumnBatch): ColumnBatch {
  const constant = constantName(kind);
  if (constant === null) return { rows, columns };
  const data = {
    type: "text",
    codes: new Int32Array(rows),
    dictionary: [constant.text],
    nulls: null,
  } as const;
  return { rows, columns: new Map(columns).set(constant.column, { ...data, dictionary: [constant.text] }) };
}

/**
 * `daily/AAPL.csv`, `ticks/trade/AAPL.csv`. Parquet as Hive has it, with what the folders say left
 * out of the files: `ticks/type=trade/ticker=AAPL/rows.parquet`.
 */
export class FolderOutput implements KindOutput {
  readonly #options: OutputOptions;
  readonly #folder: string;
  readonly #columns: FormatColumn[];
  readonly #partNames = new Map<string, string>();
  readonly #parts = new FileNames();
  readonly #tickers = new FileNames();
  #current: { ticker: string; part: string | null; file: RowFile } | null = null;
  #madeFolder = "";
  files = 0;

  constructor(folder: string, options: OutputOptions) {
    const { kind, counts } = options;
    this.#options = options;
    this.#folder = join(folder, kind);
    const named = hasFewParts(kind) ? seriesColumns(kindOf(kind)) : ["ticker"];
    const inPath = this.#isHive ? named : [];
    this.#columns = formatColumns(kind, counts).filter(({ name }) => !inPath.includes(name));
  }

  async write(batch: ColumnBatch, runs: readonly SeriesRun[]): Promise<void> {
    for (const run of runs) {
      const { ticker } = run;
      const part = hasFewParts(this.#options.kind) ? run.part : null;
      if (this.#current?.ticker !== ticker || this.#current.part !== part) {
        await this.#endCurrent();
        this.#current = { ticker, part, file: await this.#open(ticker, part) };
      }
      await this.#current.file.write(batchOfRun(batch, run));
    }
  }

  async end(): Promise<void> {
    await this.#endCurrent();
  }

  async abandon(): Promise<void> {
    await this.#current?.file.abandon();
    this.#current = null;
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #isHive(): boolean {
    return this.#options.form.format === "parquet";
  }

  async #endCurrent(): Promise<void> {
    await this.#current?.file.end();
    this.#current = null;
  }

  async #open(ticker: string, part: string | null): Promise<RowFile> {
    const { kind, form } = this.#options;
    const path = join(this.#folder, this.#pathOf(ticker, part));
    const sink = await this.#make(path).catch((error: Error) => {
      throw errorCode(error) === "ENAMETOOLONG" ? new LongPathError(ticker, path) : error;
    });
    this.files++;
    return new RowFile(kind, sink, await openEncoder(form.format, this.#columns));
  }

  async #make(path: string): Promise<Sink> {
    const folder = dirname(path);
    if (folder !== this.#madeFolder) await mkdir(folder, { recursive: true });
    this.#madeFolder = folder;
    return await openFile(path, this.#options.form.packing);
  }

  #pathOf(ticker: string, part: string | null): string {
    const { kind, form } = this.#options;
    const partName = part === null ? [] : [this.#partName(part)];
    const tickerName = this.#tickers.nameOf(ticker);
    if (!this.#isHive) return join(...partName, `${tickerName}.${endingOf(form)}`);
    const parts = partName.map((name) => `${kindOf(kind).part}=${name}`);
    return join(...parts, `ticker=${tickerName}`, `rows.${endingOf(form)}`);
  }

  /** Parts come again and again, with each ticker. */
  #partName(part: string): string {
    const name = this.#partNames.get(part) ?? this.#parts.nameOf(part);
    this.#partNames.set(part, name);
    return name;
  }
}

interface OneFileOptions extends OutputOptions {
  /** Known before the first row: see `openEncoder`. */
  names: ReadonlyMap<string, readonly string[]>;
}

class LongPathError extends Error {
  override name = "LongPathError";

  constructor(ticker: string, { length }: string) {
    const shown = JSON.stringify(`${ticker.slice(0, SHOWN_LENGTH_MAX)}…`);
    super(`${shown}: a path of ${length} characters is too long for a file: --to FILE has all tickers`);
  }
}

/** All rows of the kind in one file, or on standard output. It is made when the first row comes. */
export class OneFileOutput implements KindOutput {
  readonly #options: OneFileOptions;
  readonly #openSink: () => Promise<Sink>;
  #file: RowFile | null = null;

  constructor(openSink: () => Promise<Sink>, options: OneFileOptions) {
    this.#openSink = openSink;
    this.#options = options;
  }

  get files(): number {
    return this.#file === null ? 0 : 1;
  }

  async write(batch: ColumnBatch): Promise<void> {
    const { kind, form, counts, names } = this.#options;
    if (this.#file === null) {
      const encoder = await openEncoder(form.format, formatColumns(kind, counts), names);
      this.#file = new RowFile(kind, await this.#openSink(), encoder);
    }
    await this.#file.write(batch);
  }

  async end(): Promise<void> {
    await this.#file?.end();
  }

  async abandon(): Promise<void> {
    await this.#file?.abandon();
  }
}

/** Reads the kinds asked for, one after the other, and writes their rows into files. */
import { type CountType, hasFewParts, readColumnNames } from "../../formats/format-columns.ts";
import { CountTypeError } from "../../formats/typed-columns.ts";
import type { TransferReader } from "../../storage/contract.ts";
import type { ColumnQuery } from "../../storage/model/columns.ts";
import { type KindName, kindOf } from "../../storage/model/kinds.ts";
import { type SeriesRun, seriesRuns } from "../../storage/series-runs.ts";
import type { Progress } from "../progress.ts";
import type { KindSelection } from "./kind-names.ts";
import type { ExportOptions } from "./options.ts";
import type { KindOutput } from "./outputs.ts";

type KnownNames = ReadonlyMap<string, readonly string[]>;

export interface ExportRequest extends Pick<ExportOptions, "tickers" | "kinds" | "form" | "isOneFile"> {
  source: TransferReader;
  /** @param names for a file of all rows. */
  openOutput(kind: KindName, counts: ReadonlyMap<string, CountType>, names: KnownNames): KindOutput;
  /** What was written of a kind can be thrown away, and begun again. */
  canRepeat: boolean;
  progress: Progress;
  signal: AbortSignal;
}

/** Of one kind and part. */
interface PartResult {
  kind: KindName;
  part: string | null;
  rows: number;
  tickers: number;
}

export interface ExportResult {
  parts: PartResult[];
  rows: number;
  files: number;
  /** Asked for, and without a row of these kinds at any time. */
  absentTickers: string[];
}

const TICKERS_PER_PAGE = 500;

/** @throws Error What went wrong with the database or a file. */
export async function exportRows(request: ExportRequest): Promise<ExportResult> {
  const run = new ExportRun(request);
  try {
    return await run.exportAll();
  } finally {
    request.progress.end();
  }
}

class ExportRun {
  readonly #request: ExportRequest;
  readonly #result: ExportResult = { parts: [], rows: 0, files: 0, absentTickers: [] };
  readonly #seen = new Set<string>();
  #tickersDone = 0;
  #tickersTotal = 0;

  constructor(request: ExportRequest) {
    this.#request = request;
  }

  async exportAll(): Promise<ExportResult> {
    const { kinds, tickers } = this.#request;
    for (const { kind } of kinds) this.#tickersTotal += tickers?.length ?? (await this.#countTickers(kind));
    for (const selection of kinds) await this.#exportKind(selection);
    await this.#findAbsent();
    return this.#result;
  }

  /** A count that doesn't fit its column begins the kind anew, with a type that holds it. */
  async #exportKind(selection: KindSelection): Promise<void> {
    const { kind } = selection;
    const counts = new Map<string, CountType>();
    const names = await this.#names(selection);
    for (;;) {
      const output = this.#request.openOutput(kind, counts, names);
      const tickersBefore = this.#tickersDone;
      try {
        const parts = await this.#walk(selection, names, output);
        await output.end();
        this.#result.parts.push(...parts);
        this.#result.rows += parts.reduce((sum, { rows }) => sum + rows, 0);
        this.#result.files += output.files;
        return;
      } catch (error) {
        await output.abandon();
        if (!(error instanceof CountTypeError) || !this.#request.canRepeat) throw error;
        counts.set(error.column, error.type);
        this.#tickersDone = tickersBefore;
      }
    }
  }

  async #walk(selection: KindSelection, names: KnownNames, output: KindOutput): Promise<PartResult[]> {
    const { kind } = selection;
    const results = new Map<string | null, PartResult>();
    let last: SeriesRun | null = null;
    for await (const batch of this.#batches(selection, names.get("ticker") ?? this.#request.tickers)) {
      const runs = seriesRuns(kind, batch);
      await output.write(batch, runs);
      for (const run of runs) {
        const { ticker, start, end } = run;
        const part = hasFewParts(kind) ? run.part : null;
        const result: PartResult = results.get(part) ?? { kind, part, rows: 0, tickers: 0 };
        results.set(part, result);
        result.rows += end - start;
        if (ticker !== last?.ticker || (part !== null && part !== last.part)) result.tickers++;
        if (ticker !== last?.ticker) this.#tickersDone++;
        if (this.#request.tickers !== null) this.#seen.add(ticker);
        last = run;
      }
      this.#showProgress([...results.values()]);
    }
    return [...results.values()];
  }

  async *#batches({ kind, parts, from, to }: KindSelection, tickers: readonly string[] | null) {
    const { source, signal } = this.#request;
    if (source.columns === undefined) throw new Error("the database doesn't give its rows as columns");
    const columns = readColumnNames(kind);
    // Each part is a walk of its own: a file has the rows of one part after those of another.
    for (const part of parts ?? [null]) {
      const query: ColumnQuery = {
        kind,
        tickers,
        parts: part === null ? null : [part],
        from,
        to,
        columns,
        signal,
      };
      yield* source.columns(query);
    }
  }

  /** What readers of Arrow want in front of all rows, where these are in one file. */
  async #names({ kind, parts }: KindSelection): Promise<KnownNames> {
    const { form, isOneFile, tickers: asked, source } = this.#request;
    if (!isOneFile || !form.format.startsWith("arrow")) return new Map();
    const tickers = asked ?? [];
    const found = new Set(parts);
    for await (const page of this.#tickers(kind)) {
      if (asked === null) tickers.push(...page);
      if (!hasFewParts(kind) || parts !== null) continue;
      for (const ticker of page) for (const part of await source.parts(kind, ticker)) found.add(part);
    }
    const part = hasFewParts(kind) ? [[kindOf(kind).part!, [...found].sort()] as const] : [];
    return new Map([["ticker", tickers], ...part]);
  }

  async *#tickers(kind: KindName): AsyncGenerator<string[]> {
    const { source, tickers, signal } = this.#request;
    if (tickers !== null) {
      yield tickers;
      return;
    }
    for (let after: string | null = null; ; ) {
      signal.throwIfAborted();
      const page: string[] = await source.tickers(kind, after, TICKERS_PER_PAGE);
      if (page.length > 0) yield page;
      if (page.length < TICKERS_PER_PAGE) return;
      after = page.at(-1)!;
    }
  }

  async #countTickers(kind: KindName): Promise<number> {
    let count = 0;
    for await (const page of this.#tickers(kind)) count += page.length;
    return count;
  }

  /** A mistyped name is an error. A ticker without rows between the bounds isn't. */
  async #findAbsent(): Promise<void> {
    for (const ticker of this.#request.tickers ?? [])
      if (!this.#seen.has(ticker) && !(await this.#hasRows(ticker))) this.#result.absentTickers.push(ticker);
  }

  async #hasRows(ticker: string): Promise<boolean> {
    const anyTime = { from: null, to: null };
    for (const selection of this.#request.kinds)
      for await (const batch of this.#batches({ ...selection, ...anyTime }, [ticker]))
        if (batch.rows > 0) return true;
    return false;
  }

  #showProgress(ofKind: PartResult[]): void {
    this.#request.progress.update({
      rows: this.#result.rows + ofKind.reduce((sum, { rows }) => sum + rows, 0),
      seriesDone: Math.min(this.#tickersDone, this.#tickersTotal),
      seriesTotal: this.#tickersTotal,
    });
  }
}

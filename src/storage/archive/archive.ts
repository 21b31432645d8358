/** What was taken out of the database because of its age, and how it is read beside the rest. */
import { microsOfStamp, stampOfMicros } from "../../market/stamp-micros.ts";
import type { ReadColumns } from "../column-walks.ts";
import type { StockReader } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf } from "../model/kinds.ts";
import { compareTexts, inByteOrder } from "../series-order.ts";
import {
  type ArchivedFile,
  type ArchivedRows,
  ArchiveFiles,
  isArchivable,
  type Period,
} from "./archive-files.ts";
import { ArchiveIdentity } from "./archive-identity.ts";
import { mergedWalk, narrowed, widened } from "./merged-walk.ts";
import type { FileRows, ParquetReader } from "./parquet-rows.ts";

/** What is held to see whether the archive is needed. */
const PAGE_ROWS_MAX = 10_000;

export class Archive {
  readonly files: ArchiveFiles;
  readonly identity: ArchiveIdentity;
  #reader: ParquetReader | null = null;

  constructor(folder: string, notes: StockReader["notes"]) {
    this.files = new ArchiveFiles(folder);
    this.identity = new ArchiveIdentity(folder, notes);
  }

  /** As `StockReader.parts`, with those that have files. */
  async parts(kind: KindName, ticker: string, stored: StockReader["parts"]): Promise<string[]> {
    const found = await stored(kind, ticker);
    if (!isArchivable(kind) || kindOf(kind).part === null) return found;
    const archived = await this.#find({ kind, tickers: [ticker], parts: null, from: null, to: null });
    return archived.length === 0 ? found : inByteOrder([...found, ...archived.map(({ part }) => part!)]);
  }

  /** As `StockReader.tickers`, with those that have files. */
  async tickers(
    kind: KindName,
    { after, limit }: { after: string | null; limit: number },
    stored: StockReader["tickers"],
  ): Promise<string[]> {
    const found = await stored(kind, after, limit);
    if (!isArchivable(kind)) return found;
    await this.identity.check();
    const archived = (await this.files.tickers(kind)).filter(
      (ticker) => after === null || compareTexts(ticker, after) > 0,
    );
    return archived.length === 0 ? found : inByteOrder([...found, ...archived]).slice(0, limit);
  }

  /**
   * Rows of the database and of the archive, as one walk.
   *
   * The database is asked first: its rows are of the moment when its first batch comes. What was
   * removed before that is in a file by then, as files are written first. @throws as both.
   */
  async *columns(query: ColumnQuery, stored: ReadColumns): AsyncGenerator<ColumnBatch> {
    const isKept = isArchivable(query.kind);
    if (isKept && isPageOfNewest(query)) {
      const page = await this.#newest(query, stored);
      if (page !== null) {
        yield* page;
        return;
      }
    }
    if (!isKept || (await this.#find(query)).length === 0) {
      const walk = stored(query)[Symbol.asyncIterator]();
      try {
        let found = await walk.next();
        if (!isKept || (await this.#find(query)).length === 0) {
          for (; found.done !== true; found = await walk.next()) yield found.value;
          return;
        }
      } finally {
        await walk.return?.();
      }
    }
    const wide = widened(query);
    const walk = begun(stored(wide));
    try {
      await walk.first;
      const archived = this.#rowsOf(wide, await this.#find(query));
      yield* mergedWalk(query, archived, walk.batches);
    } finally {
      await walk.batches.return?.();
    }
  }

  /** Rows of a file that need not count yet. */
  rowsOfFile(path: string, { kind, ticker, part, columns }: FileQuery): AsyncGenerator<ColumnBatch> {
    return this.#rowsOfFile({ path, kind, ticker, part, columns, from: null, to: null });
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  /** DuckDB is loaded by the first read. */
  async *#rowsOfFile(of: FileRows): AsyncGenerator<ColumnBatch> {
    const { ParquetReader: Reader } = await import("./parquet-rows.ts");
    this.#reader ??= new Reader();
    yield* this.#reader.rows(of);
  }

  /** Null: some of its rows may be in the archive. */
  async #newest(query: ColumnQuery, stored: ReadColumns): Promise<ColumnBatch[] | null> {
    const { name } = kindOf(query.kind).stamp;
    const columns = query.columns.includes(name) ? query.columns : [...query.columns, name];
    const page: ColumnBatch[] = [];
    let rows = 0;
    for await (const batch of stored({ ...query, columns })) {
      rows += batch.rows;
      page.push(batch);
    }
    const stamps = page.at(-1)?.columns.get(name);
    if (rows < query.limit! || stamps?.type !== "instant") return null;
    const last = Number(stamps.values.at(-1));
    return (await this.#find(query)).every(({ files }) => files.at(-1)!.until <= last)
      ? page.map((batch) => narrowed(query, batch))
      : null;
  }

  /** @throws RequestError 503: the folder isn't that of the database. */
  async #find(query: Omit<ColumnQuery, "columns">): Promise<ArchivedRows[]> {
    await this.identity.check();
    const [from, to] = [query.from, query.to].map((bound) => (bound === null ? null : microsOfStamp(bound)));
    return this.files.find(query, {
      from: from ?? Number.NEGATIVE_INFINITY,
      to: to ?? Number.POSITIVE_INFINITY,
    });
  }

  async *#rowsOf(query: ColumnQuery, found: readonly ArchivedRows[]): AsyncGenerator<ColumnBatch> {
    const { kind, columns, order, signal } = query;
    for (const { ticker, part, files } of found) {
      const { from, to, isWithin } = boundsOf(query, { ticker, part });
      for (const file of inOrder(files.filter(isWithin), order)) {
        // It may have been written anew since.
        const path = await this.files.pathNow(file);
        yield* this.#rowsOfFile({ path, kind, ticker, part, columns, from, to, order, signal });
      }
    }
  }
}

/** Of one series, and few enough to be held. */
function isPageOfNewest({ kind, tickers, parts, order, limit }: ColumnQuery): boolean {
  const isOne = tickers?.length === 1 && (kindOf(kind).part === null || parts?.length === 1);
  return order === "descending" && isOne && limit != null && limit <= PAGE_ROWS_MAX;
}

interface FileQuery extends Pick<ColumnQuery, "kind" | "columns"> {
  ticker: string;
  part: string | null;
}

function inOrder(files: ArchivedFile[], order: ColumnQuery["order"]): ArchivedFile[] {
  return order === "descending" ? files.toReversed() : files;
}

/** Of the rows of a series that a walk comes to, in the stored form. */
function boundsOf(
  { kind, from, to, after, order }: ColumnQuery,
  { ticker, part }: { ticker: string; part: string | null },
): { from: string | null; to: string | null; isWithin(file: Period): boolean } {
  const isFirst = after != null && after.ticker === ticker && after.part === part;
  if (!isFirst) return { from, to, isWithin: () => true };
  // Rows that share a stamp are told apart by the merge.
  const past = kindOf(kind).hasSeq ? 0 : order === "descending" ? -1 : 1;
  const micros = microsOfStamp(after.stamp) + past;
  const bound = past === 0 ? after.stamp : stampOfMicros(micros);
  if (order === "descending") return { from, to: least(to, bound), isWithin: (file) => file.from <= micros };
  return { from: greatest(from, bound), to, isWithin: (file) => file.until > micros };
}

/** Stamps in the stored form compare as texts, also where one has a fraction. */
function greatest(stamp: string | null, other: string): string {
  return stamp === null || stamp < other ? other : stamp;
}

function least(stamp: string | null, other: string): string {
  return stamp === null || stamp > other ? other : stamp;
}

/** A walk whose first batch is asked for at once. */
function begun(walk: AsyncIterable<ColumnBatch>): {
  first: Promise<unknown>;
  batches: AsyncIterator<ColumnBatch>;
} {
  const inner = walk[Symbol.asyncIterator]();
  const first = inner.next();
  let isFirst = true;
  const batches: AsyncIterator<ColumnBatch> = {
    next() {
      if (!isFirst) return inner.next();
      isFirst = false;
      return first;
    },
    return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
  };
  return { first, batches };
}

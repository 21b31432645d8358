/** Finds the next series that has rows up to a moment. */
import { stampOfMicros } from "../market/stamp-micros.ts";
import type { ColumnBatch, ColumnQuery, RowKey, TextColumn } from "../storage/model/columns.ts";
import { type KindName, kindOf, type RowKind } from "../storage/model/kinds.ts";

/** No row has a later stamp. */
const LAST_STAMP = "9999-12-31 23:59:59.999999";
const SECOND_LENGTH = "2024-01-02 10:00:00".length;

export interface FirstRow {
  ticker: string;
  part: string | null;
  /** Of its oldest row, in µs since 1970. */
  micros: number;
}

export interface FirstRowQuery {
  columns(query: ColumnQuery): AsyncIterable<ColumnBatch>;
  kind: KindName;
  /** Null: all. */
  ticker: string | null;
  part: string | null;
  /** In the stored form; inclusive. `from` absent: unbounded. */
  from?: string;
  to: string;
  /** The series before; null: none. */
  behind: FirstRow | null;
  signal: AbortSignal;
}

/** In order of ticker and part. @returns null: there is none. */
export async function firstRow(query: FirstRowQuery): Promise<FirstRow | null> {
  const kind = kindOf(query.kind);
  const { ticker, part, to, behind, signal } = query;
  const walk = query.columns({
    kind: query.kind,
    tickers: ticker === null ? null : [ticker],
    parts: part === null ? null : [part],
    ...{ from: query.from ?? null, to, limit: 1, line: "server", signal },
    after: behind === null ? null : endOf(behind, kind),
    columns: ["ticker", ...(kind.part === null ? [] : [kind.part]), kind.stamp.name],
  });
  for await (const batch of walk) {
    if (batch.rows === 0) continue;
    const stamps = batch.columns.get(kind.stamp.name)!;
    return {
      ticker: textAt(batch, "ticker"),
      part: kind.part === null ? null : textAt(batch, kind.part),
      micros: Number(stamps.type === "instant" ? stamps.values[0] : Number.NaN),
    };
  }
  return null;
}

/** @param micros since 1970. @returns the last stamp of the kind before then, as it is stored. */
export function lastBefore(kind: KindName, micros: number): string {
  return inForm(stampOfMicros(micros - 1), kindOf(kind));
}

/** @returns the stamps of a period, inclusive. */
export function boundsOfPeriod(
  kind: KindName,
  { from, until }: { from: number; until: number },
): { from: string; to: string } {
  return { from: inForm(stampOfMicros(from), kindOf(kind)), to: lastBefore(kind, until) };
}

function endOf({ ticker, part }: FirstRow, kind: RowKind): RowKey {
  return { ticker, part, stamp: inForm(LAST_STAMP, kind), seq: kind.hasSeq ? 0 : null };
}

function inForm(stamp: string, { stamp: { type } }: RowKind): string {
  return type === "second" ? stamp.slice(0, SECOND_LENGTH) : stamp;
}

function textAt({ columns }: ColumnBatch, name: string): string {
  const { codes, dictionary } = columns.get(name) as TextColumn;
  return dictionary[codes[0]!]!;
}

/**
 * The newest row of each part of a ticker, page by page along the key: it jumps from part to part,
 * however many rows each has, and looks its newest one up.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import type { JsonRecord } from "../../protocol/json.ts";
import type { NewestOfPartsQuery } from "../contract.ts";
import { answerColumnsOf, kindOf } from "../model/kinds.ts";
import { inByteOrder } from "../series-order.ts";
import { answerSql, rowToWire } from "./answer-columns.ts";
import { nextParts } from "./distinct-values.ts";

/** Parts of one page: 3 ms or 4 of work. */
const PAGE_PARTS = 100;
const FIRST = "";
const LAST = "~";

export class PartPages implements Disposable {
  readonly #db: Database;
  readonly #query: NewestOfPartsQuery;
  /** Those that were asked for; null: all. */
  readonly #asked: string[] | null;
  readonly #newest: Statement<JsonRecord, SQLQueryBindings[]>;
  readonly #bounds: SQLQueryBindings[];
  readonly #toWire: (row: JsonRecord) => void;
  #after: string | null = null;
  isLast = false;

  constructor(db: Database, query: NewestOfPartsQuery) {
    const { where, from, to, columns: names } = query;
    const kind = kindOf(query.kind);
    const columns = answerColumnsOf(kind, names);
    this.#db = db;
    this.#query = query;
    this.#asked = query.parts === null ? null : inByteOrder(query.parts);
    this.#newest = db.prepare(newestSql(query));
    this.#bounds = [from ?? FIRST, to ?? LAST, ...where.flatMap((bounds) => valuesOf(bounds))];
    this.#toWire = rowToWire(columns, kind.writtenForm === "wire");
  }

  /** The rows of the next parts, as answers show them. Empty ones may come before the last. */
  next(): JsonRecord[] {
    const { kind, ticker } = this.#query;
    const parts =
      this.#asked?.splice(0, PAGE_PARTS) ?? nextParts(this.#db, kind, ticker, this.#after, PAGE_PARTS);
    this.#after = parts.at(-1) ?? null;
    this.isLast = this.#asked === null ? parts.length < PAGE_PARTS : this.#asked.length === 0;
    const rows: JsonRecord[] = [];
    for (const part of parts) {
      const row = this.#newest.get(ticker, part, ...this.#bounds);
      if (row === null) continue;
      this.#toWire(row);
      rows.push(row);
    }
    return rows;
  }

  [Symbol.dispose](): void {
    this.#newest.finalize();
  }
}

function newestSql({ kind: name, by, where, columns }: NewestOfPartsQuery): string {
  const kind = kindOf(name);
  const stamp = kind.stamp.name;
  const order = [...(by === "written" ? ["write_timestamp"] : []), stamp, ...(kind.hasSeq ? ["seq"] : [])];
  const filters = where.flatMap(({ column, from, to }) => [
    ...(from === null ? [] : [`${column} >= ?`]),
    ...(to === null ? [] : [`${column} <= ?`]),
  ]);
  const selected = answerColumnsOf(kind, columns).map(answerSql).join(", ");
  const newest = `FROM ${kind.table}
    WHERE ticker = ? AND ${kind.part} = ? AND ${stamp} >= ? AND ${stamp} <= ?
    ORDER BY ${order.map((column) => `${column} DESC`).join(", ")} LIMIT 1`;
  return filters.length === 0
    ? `SELECT ${selected} ${newest}`
    : `SELECT ${selected} FROM (SELECT * ${newest}) WHERE ${filters.join(" AND ")}`;
}

function valuesOf({ from, to }: NewestOfPartsQuery["where"][number]): SQLQueryBindings[] {
  return [from, to].filter((bound) => bound !== null);
}

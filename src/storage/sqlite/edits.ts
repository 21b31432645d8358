/** Removes and renames rows, within the writer's transaction. See storage/edits.ts. */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import type { CommitProgress, Edit, Removal, Renaming, SaveRefusal } from "../contract.ts";
import { type AppliedRows, appliedRemoval, type FoundRows, movedRefusal } from "../edits.ts";
import { KIND_NAMES, kindOf, type RowKind, seriesColumns } from "../model/kinds.ts";
import { tickerTaken } from "../save-refusals.ts";
import type { DailyAverages } from "./daily-averages.ts";
import { storedParts } from "./distinct-values.ts";
import { quote } from "./tables.ts";

/** Between two of these the writer tells that it gets on: some tenths of a second. */
const ROWS_AT_ONCE = 5_000;

/** Some rows of a series, as the conditions of a statement. */
interface RowSpan {
  where: string;
  params: SQLQueryBindings[];
}

export class Edits {
  readonly #db: Database;
  readonly #averages: DailyAverages;

  constructor(db: Database, averages: DailyAverages) {
    this.#db = db;
    this.#averages = averages;
  }

  apply(edit: Edit, progress: CommitProgress): AppliedRows | SaveRefusal {
    return edit.what === "removal" ? this.#remove(edit, progress) : this.#rename(edit, progress);
  }

  #remove(removal: Removal & { dryRun: boolean }, progress: CommitProgress): AppliedRows | SaveRefusal {
    const { kind: name, ticker, dryRun } = removal;
    const kind = kindOf(name);
    const first = dryRun || name !== "daily" ? null : this.#firstOf(kind, removal);
    const found = { rows: 0, written: null as string | null, writtenSum: 0 };
    const spans = [...this.#spansOf(removal)];
    const remove = ({ where, params }: RowSpan): void =>
      this.#run(`DELETE FROM ${kind.table} WHERE ${where}`, params);
    for (const span of spans) {
      progress.at("rows", { kind: name, ticker, rows: [] });
      const { rows, written, writtenSum } = this.#find(kind, span);
      found.rows += rows;
      found.writtenSum += Number(writtenSum);
      if (written !== null && (found.written === null || written > found.written)) found.written = written;
      if (!dryRun && removal.asFound === undefined) remove(span);
    }
    const moved = movedRefusal(removal, found);
    if (moved !== null) return moved;
    if (!dryRun && removal.asFound !== undefined) for (const span of spans) remove(span);
    if (first !== null) this.#averages.recompute(ticker, first);
    return appliedRemoval(removal, found);
  }

  #rename(
    { ticker, newTicker, dryRun }: Renaming & { dryRun: boolean },
    progress: CommitProgress,
  ): AppliedRows | SaveRefusal {
    const isTaken = KIND_NAMES.some((name) => this.#has(kindOf(name), newTicker));
    if (isTaken) return tickerTaken(newTicker);
    let rows = 0;
    for (const name of KIND_NAMES) {
      const kind = kindOf(name);
      const all = { kind: name, ticker, part: null, from: null, to: null, ids: null };
      for (const { where, params } of this.#spansOf(all)) {
        progress.at("rows", { kind: name, ticker, rows: [] });
        rows += this.#find(kind, { where, params }).rows;
        if (!dryRun) this.#move(kind, newTicker, { where, params });
      }
    }
    // The triggers have deleted most; the next save makes them again.
    if (!dryRun) this.#run("DELETE FROM daily_checkpoints WHERE ticker IN (?, ?)", [ticker, newTicker]);
    return { rows };
  }

  /** An UPDATE of a column of the key takes five times as long. Users may have added columns. */
  #move({ table }: RowKind, newTicker: string, { where, params }: RowSpan): void {
    const columns = this.#db
      .query<{ name: string }, [string]>(
        "SELECT name FROM pragma_table_info(?) WHERE lower(name) <> 'ticker'",
      )
      .all(table)
      .map(({ name }) => quote(name))
      .join(", ");
    this.#run(`INSERT INTO ${table} (ticker, ${columns}) SELECT ?, ${columns} FROM ${table} WHERE ${where}`, [
      newTicker,
      ...params,
    ]);
    this.#run(`DELETE FROM ${table} WHERE ${where}`, params);
  }

  /** A part after the other, each in spans that don't overlap. */
  *#spansOf(of: Omit<Removal, "what">): Iterable<RowSpan> {
    const { kind: name, ticker, part, from, to, ids, extra } = of;
    const kind = kindOf(name);
    const only = [
      ...(ids === null ? [] : [`AND id IN (${ids.map(() => "?").join(", ")})`]),
      ...(extra === undefined ? [] : ["AND extra = ?"]),
    ].join(" ");
    const onlyParams = [...(ids ?? []), ...(extra === undefined ? [] : [extra])];
    const isWhole = kind.part === null || part !== null;
    for (const each of isWhole ? [part] : storedParts(this.#db, name, ticker)) {
      const series = each === null ? [ticker] : [ticker, each];
      for (const { where, params } of this.#spans(kind, series, { from, to }))
        yield { where: `${where} ${only}`, params: [...params, ...onlyParams] };
    }
  }

  *#spans(
    kind: RowKind,
    series: string[],
    { from, to }: { from: string | null; to: string | null },
  ): Iterable<RowSpan> {
    const { name: stamp } = kind.stamp;
    const ofSeries = seriesColumns(kind).map((column) => `${column} = ?`);
    let begin: RowSpan =
      from === null ? { where: "", params: [] } : { where: `${stamp} >= ?`, params: [from] };
    const end: RowSpan = to === null ? { where: "", params: [] } : { where: `${stamp} <= ?`, params: [to] };
    const within = (...bounds: RowSpan[]): RowSpan => ({
      where: [...ofSeries, ...bounds.map(({ where }) => where).filter((where) => where !== "")].join(" AND "),
      params: [...series, ...bounds.flatMap(({ params }) => params)],
    });
    for (;;) {
      const { where, params } = within(begin, end);
      const last = this.#db
        .query<{ stamp: SQLQueryBindings }, SQLQueryBindings[]>(
          `SELECT ${stamp} AS stamp FROM ${kind.table} WHERE ${where} ORDER BY ${stamp} LIMIT 1 OFFSET ${ROWS_AT_ONCE}`,
        )
        .get(...params);
      if (last === null) {
        yield { where, params };
        return;
      }
      yield within(begin, { where: `${stamp} <= ?`, params: [last.stamp] });
      begin = { where: `${stamp} > ?`, params: [last.stamp] };
    }
  }

  #firstOf(kind: RowKind, removal: Removal): string | null {
    const first = [...this.#spansOf(removal)][0]!;
    return this.#db
      .query<{ stamp: string | null }, SQLQueryBindings[]>(
        `SELECT min(${kind.stamp.name}) AS stamp FROM ${kind.table} WHERE ${first.where}`,
      )
      .get(...first.params)!.stamp;
  }

  #has({ table }: RowKind, ticker: string): boolean {
    return this.#db.query(`SELECT 1 FROM ${table} WHERE ticker = ? LIMIT 1`).get(ticker) !== null;
  }

  /** Not kept: with ids, each statement has another text. */
  #find({ table }: RowKind, { where, params }: RowSpan): FoundRows {
    const counting = this.#db.prepare<FoundRows, SQLQueryBindings[]>(
      `SELECT count(*) AS rows, max(CAST(write_timestamp AS TEXT)) AS written,
         total(substr(write_timestamp, 15, 2) || substr(write_timestamp, 18, 2) ||
           substr(write_timestamp, 21, 6)) AS writtenSum
       FROM ${table} WHERE ${where}`,
    );
    try {
      return counting.get(...params)!;
    } finally {
      counting.finalize();
    }
  }

  #run(sql: string, params: SQLQueryBindings[]): void {
    this.#db.run(sql, params);
  }
}

/**
 * Widens the columns of volumes and sizes for what saves bring. Refuses a save that no type has
 * room for.
 */
import { STATUS } from "../../protocol/codes.ts";
import type { Count, Save, SaveOutcome } from "../contract.ts";
import { byKind, type KindName, kindOf, partName, type SeriesRow } from "../model/kinds.ts";
import { converted, findMisfit, holds, WIDE_TYPES, type WideType } from "./count-columns.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { isConflict, wordsOf } from "./errors.ts";
import type { Session } from "./session.ts";

interface CountColumn {
  name: string;
  read(row: SeriesRow): Count | null;
}

const COUNT_COLUMNS: Record<KindName, CountColumn[]> = byKind(({ values }) =>
  values.flatMap(({ name, type }, index) =>
    type === "count" ? [{ name, read: (row: SeriesRow) => row[index + 1] ?? null }] : [],
  ),
);

export class CountRoom {
  readonly #file: DuckDbFile;
  readonly #session: Session;
  /** Stored values in the way, by column and type. A search for one reads the whole column. */
  readonly #misfits = new Map<string, string>();
  #asOf = -1;

  constructor(file: DuckDbFile, session: Session) {
    this.#file = file;
    this.#session = session;
  }

  /** @returns outcomes of the refused saves. */
  async makeFor(saves: Save[]): Promise<Map<Save, SaveOutcome>> {
    const refused = new Map<Save, SaveOutcome>();
    for (const save of saves) {
      for (const column of COUNT_COLUMNS[save.kind]) {
        const type = this.#typeOf(kindOf(save.kind).table, column.name);
        const row = (save.rows as SeriesRow[]).find((row) => !holds(type, column.read(row)));
        if (row === undefined) continue;
        // The saves share a transaction, so the type must fit all of their counts.
        const together = saves.slice(0, saves.indexOf(save) + 1).filter((other) => !refused.has(other));
        const reasons = await this.#widen(kindOf(save.kind).table, column, together);
        if (reasons === null) continue;
        refused.set(save, refusal(save, row, column, reasons));
        break;
      }
    }
    return refused;
  }

  /** Rewrites the column in about 5 s for 100 million rows. @returns null, or why it can't. */
  async #widen(table: string, column: CountColumn, saves: Save[]): Promise<string[] | null> {
    const from = this.#typeOf(table, column.name);
    const counts = saves
      .filter((save) => kindOf(save.kind).table === table)
      .flatMap((save) => (save.rows as SeriesRow[]).map(column.read));
    const reasons = [`${table}.${column.name} is ${from}`];
    for (const to of WIDE_TYPES) {
      if (to === from) continue;
      const misfit = counts.find((count) => !holds(to, count));
      const reason =
        misfit !== undefined
          ? `${to} has no room for ${misfit}`
          : await this.#convert(table, column.name, from, to);
      if (reason === null) return null;
      reasons.push(reason);
    }
    return reasons;
  }

  async #convert(table: string, column: string, from: string, to: WideType): Promise<string | null> {
    const misfit = await this.#misfitOf(table, column, from, to);
    if (misfit !== null) return `${to} has no room for ${misfit}, which is stored`;
    try {
      // DuckDB copies uncommitted updates of other transactions into the new column.
      await this.#file.withoutUserWrites(async () => {
        await this.#session.connection.run(
          `ALTER TABLE ${table} ALTER ${column} SET DATA TYPE ${to} USING ${converted(column, from, to)}`,
        );
      });
    } catch (error) {
      // A user's index or constraint may depend on the column.
      if (
        isConflict(error) ||
        !/^(Dependency|Catalog|Binder|Not implemented) Error:/.test(String((error as Error).message))
      )
        throw error;
      return `it can't become ${to}: ${wordsOf(error).message}`;
    }
    this.#misfits.clear();
    await this.#file.refreshCountTypes(this.#session);
    return null;
  }

  async #misfitOf(table: string, column: string, from: string, to: WideType): Promise<string | null> {
    const { foreignCommits } = this.#file;
    if (this.#asOf !== foreignCommits) this.#misfits.clear();
    this.#asOf = foreignCommits;
    const key = `${table}.${column} ${to}`;
    const misfit = this.#misfits.get(key) ?? (await findMisfit(this.#session, { table, column, from, to }));
    if (misfit !== null) this.#misfits.set(key, misfit);
    return misfit;
  }

  #typeOf(table: string, column: string): string {
    return this.#file.countTypes.get(`${table}.${column}`) ?? "";
  }
}

function refusal(save: Save, row: SeriesRow, column: CountColumn, reasons: string[]): SaveOutcome {
  const series = `${kindOf(save.kind).wire.save}: ${save.ticker} ${partName(save.kind, save.part)}`;
  return {
    ok: false,
    status: STATUS.badRequest,
    error: `${series} ${row[0]}: ${column.name} ${column.read(row)} can't be stored exactly; nothing was saved`,
    details: reasons.join("; "),
  };
}

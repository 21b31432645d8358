/** One connection with its prepared statements. It works on one call at a time. */
import type {
  DuckDBConnection,
  DuckDBMaterializedResult,
  DuckDBPreparedStatement,
  DuckDBValue,
} from "@duckdb/node-api";

/** Casts in the SQL make of it what is needed: text is the one form that keeps every stamp, double and 64-bit integer. */
export type Param = string | number;

export class Session {
  readonly connection: DuckDBConnection;
  /** Those with parameters: as many as there are texts in this folder. */
  readonly #prepared = new Map<string, DuckDBPreparedStatement>();

  constructor(connection: DuckDBConnection) {
    this.connection = connection;
  }

  /**
   * The whole result, in DuckDB's memory. Its streaming results are not used: one that fails half way ends as if it were complete.
   *
   * @param params numbers are whole.
   */
  async run(sql: string, params: Param[] = []): Promise<DuckDBMaterializedResult> {
    // Without parameters DuckDB plans a statement once, by what the tables hold then: run again when they hold more, it returns wrong rows. One with
    // parameters is planned for each run.
    if (params.length === 0) return this.connection.run(sql);
    let prepared = this.#prepared.get(sql);
    if (prepared === undefined) {
      prepared = await this.connection.prepare(sql);
      this.#prepared.set(sql, prepared);
    }
    for (const [index, param] of params.entries()) {
      if (typeof param === "string") prepared.bindVarchar(index + 1, param);
      else prepared.bindInteger(index + 1, param);
    }
    return prepared.run();
  }

  async rows(sql: string, params: Param[] = []): Promise<DuckDBValue[][]> {
    const result = await this.run(sql, params);
    return result.getRows();
  }

  close(): void {
    for (const prepared of this.#prepared.values()) prepared.destroySync();
    this.#prepared.clear();
    this.connection.closeSync();
  }
}

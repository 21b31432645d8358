/** A connection with its prepared inserts. It works on one call at a time. */
import type {
  DuckDBConnection,
  DuckDBMaterializedResult,
  DuckDBPreparedStatement,
  DuckDBValue,
} from "@duckdb/node-api";

/** The SQL casts it: text is the one form that keeps every stamp, double and 64-bit integer. */
export type Param = string | number;

export class Session {
  readonly connection: DuckDBConnection;
  /** As many as this folder has INSERTs. */
  readonly #inserts = new Map<string, DuckDBPreparedStatement>();

  constructor(connection: DuckDBConnection) {
    this.connection = connection;
  }

  /**
   * Returns the whole result, in DuckDB's memory. Prepares a statement anew each time: DuckDB plans
   * some by what the tables hold then, and such a plan returns wrong rows once they hold more.
   *
   * @param params numbers are integers.
   */
  async run(sql: string, params: Param[] = []): Promise<DuckDBMaterializedResult> {
    if (params.length === 0) return this.connection.run(sql);
    const prepared = await this.connection.prepare(sql);
    try {
      bind(prepared, params);
      return await prepared.run();
    } finally {
      prepared.destroySync();
    }
  }

  /** Runs an INSERT that reads no table. Keeps its plan: planning takes longer than a few rows. */
  async insert(sql: string, params: Param[]): Promise<void> {
    let prepared = this.#inserts.get(sql);
    if (prepared === undefined) {
      prepared = await this.connection.prepare(sql);
      this.#inserts.set(sql, prepared);
    }
    bind(prepared, params);
    await prepared.run();
  }

  async rows(sql: string, params: Param[] = []): Promise<DuckDBValue[][]> {
    const result = await this.run(sql, params);
    return result.getRows();
  }

  close(): void {
    for (const prepared of this.#inserts.values()) prepared.destroySync();
    this.#inserts.clear();
    this.connection.closeSync();
  }
}

function bind(prepared: DuckDBPreparedStatement, params: Param[]): void {
  for (const [index, param] of params.entries()) {
    if (typeof param === "string") prepared.bindVarchar(index + 1, param);
    else prepared.bindInteger(index + 1, param);
  }
}

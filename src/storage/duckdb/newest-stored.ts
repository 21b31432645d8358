/**
 * The newest stored stamp of every series. Most records of a feed are newer, and so meet no stored
 * row: to know that without asking halves the time of a small commit.
 */
import type { Session } from "./session.ts";

/** Series remembered, about 20 MB; of a database with more, every record is looked up. */
const SERIES_MAX = 200_000;

interface SeriesTable {
  name: "hourly_prices" | "realtime_data";
  stamp: string;
  stampFormat: string;
}

const TABLES: Record<"hourly" | "ticks", SeriesTable> = {
  hourly: { name: "hourly_prices", stamp: "datetime", stampFormat: "%Y-%m-%d %H:%M:%S" },
  ticks: { name: "realtime_data", stamp: "timestamp", stampFormat: "%Y-%m-%d %H:%M:%S.%f" },
};

export class NewestStored {
  readonly #table: SeriesTable;
  /** By ticker, then by type; null: too many. */
  #byTicker: Map<string, Map<string, string>> | null = null;
  #count = 0;
  /** Commits of others that the map knows of. */
  #asOf = -1;

  constructor(kind: "hourly" | "ticks") {
    this.#table = TABLES[kind];
  }

  /**
   * Reads the whole table, about 1 s for 100 million rows, if users have written since the last
   * call.
   */
  async refresh(session: Session, foreignCommits: number): Promise<void> {
    if (this.#asOf === foreignCommits) return;
    const { name, stamp, stampFormat } = this.#table;
    const type = name === "realtime_data" ? "type" : "''";
    const rows = await session.rows(
      `SELECT ticker, ${type} AS kind, strftime(max(${stamp}), '${stampFormat}') FROM ${name} GROUP BY ALL LIMIT ${SERIES_MAX + 1}`,
    );
    this.#byTicker = new Map();
    this.#count = 0;
    for (const [ticker, kind, newest] of rows) this.note(String(ticker), String(kind), String(newest));
    this.#asOf = foreignCommits;
  }

  /** May a row with this stamp be stored? False is certain. */
  mayHold(ticker: string, type: string, stamp: string): boolean {
    if (this.#byTicker === null) return true;
    const newest = this.#byTicker.get(ticker)?.get(type);
    return newest !== undefined && stamp <= newest;
  }

  /** A row with this stamp has been committed. */
  note(ticker: string, type: string, stamp: string): void {
    if (this.#byTicker === null) return;
    let types = this.#byTicker.get(ticker);
    if (types === undefined) {
      types = new Map();
      this.#byTicker.set(ticker, types);
    }
    const newest = types.get(type);
    if (newest === undefined) this.#count++;
    if (newest === undefined || newest < stamp) types.set(type, stamp);
    if (this.#count > SERIES_MAX) this.#byTicker = null;
  }
}

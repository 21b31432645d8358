/**
 * A database file as the Python server leaves it: its three tables, its forms of stamps, rollback
 * journal, no version.
 */
import { Database } from "bun:sqlite";

export interface PythonFileOptions {
  /** Statements run after the tables are made and filled. */
  statements?: string[];
  /** Made without the key column of this table. */
  brokenTable?: "realtime_data";
}

const AVERAGES = ["ma_10", "ma_50", "ma_100", "ma_200", "ema_8", "ema_21", "ema_34", "ema_55", "ema_89"];

export const DAILY_ROWS = 300;

/**
 * Close of the nth day; the averages that are stored beside it are wrong on purpose, as those of
 * that server may be.
 */
export const closeOfDay = (n: number): number => 100 + Math.round(Math.sin(n / 9) * 1000) / 100;

export const dateOfDay = (n: number): string => new Date(Date.UTC(2023, 0, 1 + n)).toISOString().slice(0, 10);

export function writePythonFile(
  path: string,
  { statements = [], brokenTable }: PythonFileOptions = {},
): void {
  using db = new Database(path, { create: true, readwrite: true });
  db.run("PRAGMA synchronous=OFF");
  const prices = "open REAL, high REAL, low REAL, close REAL, volume INTEGER";
  const averages = AVERAGES.map((name) => `${name} REAL`).join(", ");
  const written = "write_timestamp DATETIME DEFAULT CURRENT_TIMESTAMP";
  db.run(
    `CREATE TABLE daily_prices (ticker TEXT, date DATE, ${prices}, ${averages}, ${written}, PRIMARY KEY (ticker, date))`,
  );
  db.run(
    `CREATE TABLE hourly_prices (ticker TEXT, datetime DATETIME, ${prices}, ${written}, PRIMARY KEY (ticker, datetime))`,
  );
  db.run(
    brokenTable === undefined
      ? `CREATE TABLE realtime_data (ticker TEXT, timestamp DATETIME, type TEXT, price REAL, size INTEGER,
         ask_price REAL, ask_size INTEGER, ${written}, PRIMARY KEY (ticker, timestamp, type))`
      : "CREATE TABLE realtime_data (ticker TEXT, at DATETIME, type TEXT, price REAL, size INTEGER)",
  );
  db.transaction(() => {
    const daily = db.prepare(
      `INSERT INTO daily_prices (ticker, date, open, close, volume, ma_10, write_timestamp) VALUES ('AAPL', ?, ?, ?, ?, ?, ?)`,
    );
    for (let n = 0; n < DAILY_ROWS; n++) {
      const close = closeOfDay(n);
      daily.run(
        dateOfDay(n),
        close - 1,
        close,
        1000 + n,
        n < 9 ? null : 1,
        "2023-11-02 10:00:00.123456+00:00",
      );
    }
    db.run(`INSERT INTO hourly_prices VALUES
      ('AAPL', '2024-01-02 15:00:00', 1, 2, 0.5, 1.5, 9007199254740993, '2024-01-02 16:00:00+00:00'),
      ('AAPL', '2024-01-02 16:00:00', 2, 3, 1.5, NULL, NULL, '2024-01-02 17:00:00.5+00:00')`);
    if (brokenTable !== undefined) return;
    db.run(`INSERT INTO realtime_data VALUES
      ('AAPL', '2024-01-02 15:30:00.000001', 'quote', 10.5, 100, NULL, NULL, '2024-01-02 15:30:00.100000'),
      ('AAPL', '2024-01-02 15:30:00.000001', 'trade', 10.25, 7, NULL, NULL, '2024-01-02 15:30:00.200000'),
      ('AAPL', '2024-01-02 15:30:00.500000', 'trade', 10.75, NULL, NULL, NULL, '2024-01-02 15:30:00.600000'),
      ('AAPL', NULL, 'trade', 99, 1, NULL, NULL, NULL)`);
  })();
  for (const statement of statements) db.run(statement);
}

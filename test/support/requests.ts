/** Requests that each take a connection of their own, which the kernel gives to any worker. */

// biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
export type Json = any;

export interface Answer {
  status: number;
  body: Json;
  headers: Headers;
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return read(await fetch(url, { headers: { connection: "close", ...headers } }));
}

/** @throws what `fetch` throws when the connection breaks. */
export async function command(
  url: string,
  name: string,
  params: Record<string, unknown>,
  signal?: AbortSignal,
): Promise<Answer> {
  const answer = await fetch(`${url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify({ command: name, params }),
    ...(signal === undefined ? {} : { signal }),
  });
  return read(answer);
}

export function saveTrade(url: string, ticker: string, price: number, stamp?: string): Promise<Answer> {
  return command(url, "save_realtime_data", {
    ticker,
    index_col: "timestamp",
    data_type: "trade",
    data: [{ timestamp: stamp ?? new Date(Date.UTC(2024, 0, 2) + price).toISOString(), price, size: 1 }],
  });
}

export function runSql(url: string, sql: string, params: unknown[] = []): Promise<Answer> {
  return command(url, "execute_sql", { sql_query: sql, query_type: "raw", query_params: params });
}

/** `count` trades of one ticker, a millisecond apart, prices 1 … count. */
export function fillTicks(url: string, ticker: string, count: number): Promise<Answer> {
  return runSql(
    url,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
     INSERT INTO realtime_data (ticker, timestamp, type, price, size)
     SELECT ?2, strftime('%Y-%m-%d %H:%M:', '2024-01-02', (i / 1000) || ' seconds')
       || printf('%02d.%06d', (i / 1000) % 60, (i % 1000) * 1000), 'trade', i, 1 FROM n`,
    [count, ticker],
  );
}

async function read(answer: Response): Promise<Answer> {
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text), headers: answer.headers };
}

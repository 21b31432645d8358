/**
 * `--test-feed`: keeps the ticker TEST alive, for those who try a client when no market is open. It
 * saves through the server's own port, as any feed does. It runs in the process that starts all
 * others, so there is one of it whichever worker or hub is replaced. A second that can't be saved
 * is left out.
 */
import { askServer, refusalIn } from "../cli/server-client.ts";
import { testPrices } from "../market/test-prices.ts";
import { messageOf } from "../protocol/message-of.ts";

const TEST_TICKER = "TEST";
/** What the feed keeps of its ticks: 172,800 rows. */
const KEPT_MS = 24 * 3_600_000;
/** It trims every hour, so older ticks of TEST than this are somebody else's. */
const TRIMMED_AT_ONCE_MS = 7 * 24 * 3_600_000;
const TRIM_EVERY_MS = 3_600_000;
const SECOND_MS = 1_000;
/** A slower save is given up. The next seconds don't wait for it. */
const ANSWER_TIMEOUT_MS = 5_000;
const UNDER_WAY_MAX = 4;

export interface TestFeedOptions {
  host: string;
  port: number;
  /** It speaks HTTPS. */
  isSecure: boolean;
  /** False where clients may send no raw SQL. */
  trims: boolean;
  log: { info(message: string): void; warning(message: string): void };
}

/** @returns what ends it. */
export function startTestFeed({ host, port, isSecure, trims, log }: TestFeedOptions): () => void {
  const url = `${isSecure ? "https" : "http"}://${addressOf(host)}:${port}/db_command`;
  let timer: Timer;
  let underWay = 0;
  let nextTrimMs = 0;
  let failing = false;
  const stop = new AbortController();

  const next = (): void => {
    timer = setTimeout(tick, SECOND_MS - (Date.now() % SECOND_MS));
  };
  const tick = (): void => {
    next();
    if (underWay >= UNDER_WAY_MAX) return;
    underWay++;
    void feed(Math.floor(Date.now() / SECOND_MS)).finally(() => underWay--);
  };
  const feed = async (second: number): Promise<void> => {
    try {
      await saveSecond(second);
      if (failing) log.info(`Test feed: ${TEST_TICKER} is saved again`);
      failing = false;
      if (!trims || second * SECOND_MS < nextTrimMs) return;
      nextTrimMs = second * SECOND_MS + TRIM_EVERY_MS;
      await command("execute_sql", trimSql(second));
    } catch (error) {
      if (stop.signal.aborted || failing) return;
      failing = true;
      const reason = messageOf(error);
      log.warning(`Test feed: ${TEST_TICKER} could not be saved, and is tried again every second: ${reason}`);
    }
  };
  const saveSecond = async (second: number): Promise<void> => {
    const { bid, bidSize, ask, askSize, trade, tradeSize } = testPrices(second);
    const timestamp = new Date(second * SECOND_MS).toISOString();
    await save("quote", { timestamp, price: bid, size: bidSize, ask_price: ask, ask_size: askSize, seq: 0 });
    await save("trade", { timestamp, price: trade, size: tradeSize, seq: 0 });
  };
  const save = (type: string, record: object): Promise<void> =>
    command("save_realtime_data", {
      ticker: TEST_TICKER,
      data_type: type,
      index_col: "timestamp",
      data: [record],
    });
  const command = async (name: string, params: object): Promise<void> => {
    const { status, statusLine, body } = await askServer(url, {
      command: { command: name, params },
      // Whatever name the server listens on, it takes this one.
      headers: { Host: "localhost" },
      isOwnServer: true,
      timeoutMs: ANSWER_TIMEOUT_MS,
      signal: stop.signal,
    });
    if (status !== 200) throw new Error(`${name}: ${statusLine}: ${refusalIn(body) ?? "no reason given"}`);
  };

  const trimming = trims
    ? "those older than a day are deleted"
    : "all are kept, as only --sql raw lets it delete";
  log.info(`Test feed: a quote and a trade of ${TEST_TICKER} every second; ${trimming}`);
  next();
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}

function trimSql(second: number): object {
  const stampOf = (ms: number): string => new Date(ms).toISOString().replace("T", " ").slice(0, 19);
  const before = second * SECOND_MS - KEPT_MS;
  return {
    sql_query: `DELETE FROM realtime_data WHERE ticker = '${TEST_TICKER}' AND type IN ('quote', 'trade') AND seq = 0 AND "timestamp" >= '${stampOf(before - TRIMMED_AT_ONCE_MS)}' AND "timestamp" < '${stampOf(before)}'`,
    query_type: "raw",
    query_params: [],
  };
}

function addressOf(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/**
 * Rows of another server for a copy, read by its commands and written by its saves. An answer comes piece by piece, at the copy's pace; one that
 * breaks off, as after ten minutes, is asked for again from the last row on.
 */
import { redact } from "../../config/database-url.ts";
import { parseUpstream } from "../../config/upstream-url.ts";
import type { LogLines } from "../../observe/log.ts";
import { RequestError } from "../../protocol/errors.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import {
  type BarRange,
  type BarRow,
  type JsonRows,
  type RowKind,
  type Save,
  type SaveOutcome,
  type TickRange,
  type TickRow,
  type TransferReader,
  TransferRowError,
} from "../contract.ts";
import { answeredRows, BrokenAnswerError } from "./answered-rows.ts";
import { RemoteReader } from "./remote-reader.ts";
import { TransferSaves } from "./transfer-saves.ts";
import { Upstream } from "./upstream.ts";
import { toBarRow, toTickRow } from "./wire-rows.ts";

const CONNECTIONS_MAX = 12;
/** Beginnings of a series that bring no new row, one after the other. */
const TRIES_MAX = 5;

/** @throws Error it doesn't answer, or is an older server. */
export async function openRemoteTransfer(dbFile: string): Promise<RemoteTransfer> {
  const url = parseUpstream(dbFile);
  if (url === null) throw new Error("it names no server"); // the options were checked
  const upstream = new Upstream({
    url,
    connectionsMax: CONNECTIONS_MAX,
    serverId: crypto.randomUUID(),
    log: SILENT,
  });
  const transfer = new RemoteTransfer(upstream);
  try {
    await transfer.tickers("daily", null, 1);
  } catch (error) {
    transfer.close();
    if (!(error instanceof RequestError)) throw error;
    const details = error.details === undefined ? "" : ` (${error.details})`;
    throw new Error(`cannot open ${redact(dbFile)}: ${error.message}${details}`, { cause: error });
  }
  return transfer;
}

export class RemoteTransfer implements TransferReader {
  readonly preparation = null;
  readonly #reader: RemoteReader;
  readonly #saves: TransferSaves;

  constructor(upstream: Upstream) {
    this.#reader = new RemoteReader(upstream, CONNECTIONS_MAX);
    this.#saves = new TransferSaves(upstream);
  }

  tickers(kind: RowKind, after: string | null, limit: number): Promise<string[]> {
    return this.#reader.tickers(kind, after, limit);
  }

  tickTypes(ticker: string): Promise<string[]> {
    return this.#reader.tickTypes(ticker);
  }

  bars(range: BarRange): AsyncIterable<BarRow[]> {
    return walkAnswers({
      from: range.from,
      ask: (from) => this.#reader.bars({ ...range, from }),
      toRow: (row) => toBarRow(row, range.interval),
      isAfter: (row, last) => row[0] > last[0],
      where: `${range.ticker} ${range.interval}`,
    });
  }

  ticks(range: TickRange): AsyncIterable<TickRow[]> {
    return walkAnswers({
      from: range.from,
      ask: (from) => this.#reader.ticks({ ...range, from, withSeq: true }),
      toRow: toTickRow,
      isAfter: (row, last) => (row[0] === last[0] ? row[5]! > last[5]! : row[0] > last[0]),
      where: `${range.ticker} ${range.type}`,
    });
  }

  commit = (saves: Save[]): Promise<(SaveOutcome | null)[]> => this.#saves.commit(saves);

  close(): void {
    this.#reader.close();
  }
}

interface Walk<Row> {
  from: string | null;
  /** @param from inclusive. */
  ask(from: string | null): Promise<JsonRows>;
  toRow(row: JsonRecord): Row;
  isAfter(row: Row, last: Row): boolean;
  /** The series, in errors. */
  where: string;
}

async function* walkAnswers<Row extends BarRow | TickRow>(walk: Walk<Row>): AsyncGenerator<Row[]> {
  let last: Row | null = null;
  for (let tries = 1; ; tries++) {
    // The rows of the last stamp come again.
    const until = last;
    try {
      for await (const records of answeredRows(await walk.ask(last?.[0] ?? walk.from))) {
        const found = toRows(records, walk);
        const rows = until === null ? found : found.filter((row) => walk.isAfter(row, until));
        if (rows.length === 0) continue;
        // The row itself may be changed by whoever takes it.
        last = [...rows.at(-1)!] as Row;
        tries = 1;
        yield rows;
      }
      return;
    } catch (error) {
      if (!(error instanceof BrokenAnswerError) || tries === TRIES_MAX) throw error;
    }
  }
}

/** @throws TransferRowError naming the series. */
function toRows<Row>(records: JsonRecord[], { toRow, where }: Walk<Row>): Row[] {
  try {
    return records.map(toRow);
  } catch (error) {
    if (error instanceof TransferRowError) throw new TransferRowError(`${where}: ${error.message}`);
    throw error;
  }
}

/** What goes wrong is in the errors that the copy ends with. */
const SILENT: LogLines = {
  debug() {},
  info() {},
  warning() {},
  error() {},
  critical() {},
};

/**
 * Rows of another server for a copy, read by its commands and written by its saves. An answer comes
 * piece by piece, at the copy's pace; one that breaks off, as after ten minutes, is asked for again
 * from the last row on.
 */
import { redact } from "../../config/redact.ts";
import { parseUpstream } from "../../config/upstream-url.ts";
import type { LogLines } from "../../observe/log.ts";
import { RequestError } from "../../protocol/errors.ts";
import type { Edit, EditOutcome, RowRange, Save, SaveOutcome, TransferReader } from "../contract.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, partName, type SeriesRow } from "../model/kinds.ts";
import { readColumns } from "./columns.ts";
import { sendEdit } from "./edit-command.ts";
import { RemoteReader } from "./reader.ts";
import { TransferSaves } from "./transfer-saves.ts";
import { Upstream } from "./upstream.ts";
import { walkAnswers } from "./walk-answers.ts";
import { toRow, toSequencedRow } from "./wire-rows.ts";

const CONNECTIONS_MAX = 12;

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

class RemoteTransfer implements TransferReader {
  readonly #upstream: Upstream;
  readonly #reader: RemoteReader;
  readonly #saves: TransferSaves;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
    this.#reader = new RemoteReader(upstream, CONNECTIONS_MAX);
    this.#saves = new TransferSaves(upstream);
  }

  tickers(kind: KindName, after: string | null, limit: number): Promise<string[]> {
    return this.#reader.tickers(kind, after, limit);
  }

  parts(kind: KindName, ticker: string): Promise<string[]> {
    return this.#reader.parts(kind, ticker);
  }

  rows(range: RowRange): AsyncIterable<SeriesRow[]> {
    const { hasSeq } = kindOf(range.kind);
    return walkAnswers({
      from: range.from,
      ask: (from) => this.#reader.rows({ ...range, from, withSeq: hasSeq, withExtra: true }),
      toRow: (row) => (hasSeq ? toSequencedRow(range.kind, row) : toRow(range.kind, row)),
      isAfter: (row, last) => (row[0] === last[0] ? hasSeq && row.at(-1)! > last.at(-1)! : row[0] > last[0]),
      where: `${range.ticker} ${partName(range.kind, range.part)}`,
    });
  }

  columns(query: ColumnQuery): AsyncIterable<ColumnBatch> {
    return readColumns(this.#reader, query);
  }

  commit(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    return this.#saves.commit(saves);
  }

  edit(edit: Edit): Promise<EditOutcome> {
    return sendEdit(this.#upstream, edit);
  }

  close(): void {
    this.#reader.close();
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

import { type ArrowRows, arrowParts } from "../formats/arrow-rows.ts";
import { isStorable } from "../market/storable-text.ts";
import { QUOTE_ALIASES } from "../market/tick-names.ts";
import { badRequest } from "../protocol/errors.ts";
import { isReservedType, realtimeFrame, realtimeFrameOf, type ToldNames } from "../protocol/frames.ts";
import { foldNames, type JsonRecord } from "../protocol/json.ts";
import type { SaveTicks, TickRow } from "../storage/contract.ts";
import { turn } from "../time/pauses.ts";
import { withRecords } from "./arrow-params.ts";
import { commitParts, commitSave, type PreparedSave, type SavePart } from "./commit-save.ts";
import type { Command, CommandCall } from "./context.ts";
import { isMissing, readDataType, requireTicker, show } from "./params.ts";
import { hasMember, readNumbers, requireRecords } from "./records.ts";
import { readIdentity } from "./request-identity.ts";
import { indexName } from "./save-stock-data.ts";
import { shownTicker } from "./shown-rows.ts";
import { payloadOf, tickColumns } from "./tick-columns.ts";
import {
  type Aliases,
  defaultIdColumns,
  idColumnsOf,
  NO_ALIASES,
  TickReader,
  USUAL_STAMP,
} from "./tick-reader.ts";

const MISSING = "Missing params for save_realtime_data";
/** As `occurrences`: equal ticks are those of the request, and the sender has counted them. */
const OF_REQUEST = "request";

export const saveRealtimeData: Command = {
  name: "save_realtime_data",
  scope: "write",
  about: "Stores ticks: quotes, trades, or any other type.",
  params: [
    ...["ticker", "data", "index_col", "data_type", "id_col", "on_duplicate"],
    ...["save_id", "occurrences", "places", "parts"],
  ],
  tolerated: ["ma_periods", "ema_periods"],
  takesArrow: true,
  async run(call, context) {
    const identity = readIdentity(call);
    const message = (type: string): string =>
      `Realtime data (${type}) for ${shownTicker(call.params.ticker)} saved successfully.`;
    const batches = batchesOf(call, identity);
    if (batches === null) {
      const { prepared, frame } = toPart(call, identity);
      return commitSave(prepared, { frame, message: message(prepared.save.part) }, call, context);
    }
    const parts: (SavePart & { prepared: PreparedSave<SaveTicks> })[] = [];
    for (const arrow of batches) {
      const ofPart = { ...call, arrow };
      parts.push({ ...toPart(ofPart, null), call: ofPart });
      // Each takes some 10 ms.
      await turn();
    }
    return commitParts(parts, message(parts[0]!.prepared.save.part), context);
  },
};

/** Each record batch of the body, if it is asked for; null: it isn't. @throws RequestError 400 */
function batchesOf({ params, arrow, saveId }: CommandCall, identity: string | null): ArrowRows[] | null {
  const { parts = false } = params;
  if (typeof parts !== "boolean") throw badRequest(`parts: got ${show(parts)}, expected true or false`);
  if (!parts) return null;
  if (arrow === null) throw badRequest("parts: expected an Arrow body, whose record batches they are");
  if (identity !== null)
    throw badRequest("parts: expected no save_id and no Idempotency-Key, which are of one save");
  // A server in front repeats it as one save.
  if (saveId !== null || arrow.batches.length === 0) return null;
  return arrowParts(arrow);
}

function toPart(
  call: CommandCall,
  identity: string | null,
): { prepared: PreparedSave<SaveTicks>; frame: string } {
  const ofColumns = identity === null ? toSaveColumns(call) : null;
  if (ofColumns !== null) return ofColumns;
  const prepared = toSaveTicks(withRecords(call), identity);
  const { ticker, part } = prepared.save;
  const stampColumn = String(call.params.index_col).toLowerCase();
  const names = untoldNames(call.params, prepared, stampColumn);
  return { prepared, frame: realtimeFrame(ticker, part, prepared.records, stampColumn, names) };
}

/** What readers of the frame can't know by its records. Those of quotes have other names there. */
function untoldNames(
  { id_col: idColumn }: Record<string, unknown>,
  { save, records }: PreparedSave<SaveTicks>,
  stampColumn: string,
): ToldNames {
  if (save.part === "quote") return {};
  const names: ToldNames = stampColumn === USUAL_STAMP ? {} : { index_col: stampColumn };
  if (typeof idColumn !== "string") return names;
  const id = idColumn.toLowerCase();
  const [first, ...others] = defaultIdColumns(records.map(foldNames), stampColumn);
  return first === id && others.length === 0 ? names : { ...names, id_col: id };
}

/**
 * @param identity of `readIdentity`.
 * @throws RequestError 400 naming the place of the error.
 */
export function toSaveTicks(
  params: Record<string, unknown>,
  identity: string | null = null,
): PreparedSave<SaveTicks> {
  const { data, index_col: indexColumn } = params;
  if (
    isMissing(data) ||
    isMissing(indexColumn) ||
    (params.data_type !== undefined && isMissing(params.data_type))
  ) {
    throw badRequest(MISSING);
  }
  const ticker = requireTicker(params.ticker, MISSING);
  const type = readType(params.data_type);
  const onDuplicate = readTickRule(params.on_duplicate, identity);
  if (!Array.isArray(data)) throw badRequest("'data' must be a non-empty list of records for realtime save");
  const index = indexName(
    indexColumn,
    data,
    (shown) => `Index column '${shown}' not found for realtime data`,
  );
  const sent = requireRecords(data);
  const folded = sent.map(foldNames);
  if (index !== "timestamp" && hasMember(folded, "timestamp")) {
    throw badRequest(
      `index_col: got ${show(indexColumn)}, but the rows also have a column 'timestamp'; expected one of them`,
    );
  }
  const aliases = type === "quote" ? QUOTE_ALIASES : NO_ALIASES;
  requireColumns(folded, aliases);
  const places = readNumbers(params.places, "places", sent.length);
  const areCounted = params.occurrences === OF_REQUEST;
  const occurrences = areCounted ? null : readNumbers(params.occurrences, "occurrences", sent.length);
  const reader = new TickReader(index, idColumnsOf(params.id_col, folded, index), aliases);
  const rows: TickRow[] = [];
  const records: JsonRecord[] = [];
  const kept: number[] = [];
  for (let i = 0; i < folded.length; i++) {
    const row = reader.row(folded[i]!, i, places?.[i] ?? null);
    if (row === null) continue;
    rows.push(row);
    records.push(sent[i]!);
    if (occurrences !== null) kept.push(occurrences[i] ?? 0);
  }
  if (rows.length === 0)
    throw badRequest(`data: no row has a stamp in its column '${index}'; nothing was saved`);
  const ofFile = occurrences === null ? {} : { occurrences: kept };
  return {
    save: { kind: "ticks", ticker, part: type, rows, onDuplicate, ...ofFile },
    records,
    sent: sent.length,
    skipped: sent.length - rows.length,
    identity,
    areCounted,
  };
}

function requireColumns(records: JsonRecord[], aliases: Aliases): void {
  for (const column of ["price", "size"] as const) {
    const alias = aliases[column];
    if (hasMember(records, column) || (alias !== null && hasMember(records, alias))) continue;
    throw badRequest(
      `data: the rows have no column '${column}'; expected price and size, null where there is none`,
    );
  }
}

/** Ticks of an Arrow body that need no look at each; null: they do, or something is wrong. */
function toSaveColumns({ params, arrow }: CommandCall): {
  prepared: PreparedSave<SaveTicks>;
  frame: string;
} | null {
  const { index_col: index, occurrences = OF_REQUEST, places, id_col: idColumn } = params;
  const isPlain = occurrences === OF_REQUEST && places === undefined && idColumn === undefined;
  if (arrow === null || !isPlain || typeof index !== "string" || isMissing(params.data_type ?? "quote"))
    return null;
  const columns = tickColumns(arrow, index.toLowerCase());
  if (columns === null) return null;
  const { rows } = columns;
  const ticker = requireTicker(params.ticker, MISSING);
  const part = readType(params.data_type);
  const onDuplicate = readTickRule(params.on_duplicate, null);
  const { payload, first } = payloadOf(columns, part);
  return {
    prepared: {
      save: { kind: "ticks", ticker, part, rows: new Array(rows), columns, onDuplicate },
      records: [],
      sent: rows,
      skipped: 0,
      identity: null,
      areCounted: params.occurrences === OF_REQUEST,
    },
    frame: realtimeFrameOf(ticker, part, first, payload),
  };
}

function readType(value: unknown): string {
  const type = readDataType(value);
  if (!isStorable(type)) throw badRequest(`data_type: got ${show(type)}, expected text without NUL`);
  if (isReservedType(type)) {
    throw badRequest(
      `data_type: got ${show(type)}, which stands for something else in live updates; expected a name such as "quote" or "trade"`,
    );
  }
  return type;
}

/** A client that says which request it repeats means each other request to bring new ticks. */
export function readTickRule(value: unknown, identity: string | null): SaveTicks["onDuplicate"] {
  if (value === undefined || value === null || value === "ignore")
    return identity === null ? "match" : "request";
  if (value === "append" || value === "keep" || value === "replace" || value === "error") return value;
  throw badRequest(
    `on_duplicate: got ${show(value)}, expected "ignore", "append", "keep", "replace" or "error"`,
  );
}

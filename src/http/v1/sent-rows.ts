/** Rows of a JSON body, in the shapes that answers have, or a plain list. */

import { show } from "../../commands/params.ts";
import type { WrittenTable } from "../../commands/writes/sent-names.ts";
import { type RecordGroup, readLists, readRecords } from "../../formats/read-records.ts";
import type { SentTable } from "../../formats/sent-table.ts";
import { badRequest } from "../../protocol/errors.ts";
import { isObject, type JsonRecord } from "../../protocol/json.ts";

const TABLES: readonly WrittenTable[] = ["bars", "trades", "quotes"];
const OF_ROWS = [...TABLES, "data", "columns"] as const;
/** What an answer has beside its rows. */
const BESIDE = ["next_page_token", "epoch", "positions", "warnings"];

/**
 * @returns null: it has no rows, and so the parameters of a question.
 * @throws RequestError 400, SentTableError
 */
export async function sentRows(json: unknown[] | JsonRecord, table: WrittenTable): Promise<SentTable | null> {
  if (Array.isArray(json)) return readRecords([{ ticker: null, records: json }]);
  const members = OF_ROWS.filter((name) => hasRows(name, json));
  const [member] = members;
  if (member === undefined) return null;
  if (members.length > 1) throw badRequest(`body: got ${members.join(" and ")}, expected one of them`);
  if (TABLES.includes(member as WrittenTable) && member !== table)
    throw badRequest(`body: got ${member}, expected ${table}, as the path says`);
  const { [member]: rows, symbol, ...others } = json;
  const other = Object.keys(others).find((name) => !BESIDE.includes(name));
  if (other !== undefined)
    throw badRequest(`body: got ${show(other)} beside ${member}, expected parameters of a write in the URL`);
  if (member === "columns") return readLists(rows as JsonRecord);
  return readRecords(groupsOf(rows, member, symbol));
}

/** Of questions, `columns` is a list of names. */
function hasRows(name: (typeof OF_ROWS)[number], json: JsonRecord): boolean {
  return Object.hasOwn(json, name) && (name !== "columns" || isObject(json.columns));
}

function groupsOf(rows: unknown, member: string, symbol: unknown): RecordGroup[] {
  if (Array.isArray(rows)) {
    if (symbol !== undefined && typeof symbol !== "string")
      throw badRequest(`body: symbol: got ${show(symbol)}, expected a ticker`);
    return [{ ticker: symbol ?? null, records: rows }];
  }
  if (isObject(rows))
    return Object.entries(rows).map(([ticker, records]) => {
      if (Array.isArray(records)) return { ticker, records };
      throw badRequest(`body: ${member}.${show(ticker)}: got ${show(records)}, expected a list of rows`);
    });
  throw badRequest(
    `body: ${member}: got ${show(rows)}, expected a list of rows, or an object with a list for each ticker`,
  );
}

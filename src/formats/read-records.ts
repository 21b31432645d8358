/** Rows that are JSON objects, or lists of JSON for each column. */
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { isObject, type JsonRecord, parseRequestJson } from "../protocol/json.ts";
import { messageOf } from "../protocol/message-of.ts";
import { turn } from "../time/pauses.ts";
import { ROWS_OF_TURN, type SentTable, SentTableError } from "./sent-table.ts";

/** Doubles hold every integer of 15 digits. Longer ones may lose some. */
const LONG_INTEGER = /\d{16}/;
const SHOWN_LENGTH_MAX = 60;

/** @throws SyntaxError not JSON. */
export function parseExactJson(text: string): unknown {
  return LONG_INTEGER.test(text) ? parseRequestJson(text, parseAllIntegers) : parseRequestJson(text);
}

export interface RecordGroup {
  /** Null: each row says it. */
  ticker: string | null;
  records: readonly unknown[];
}

/** @throws SentTableError a row is no object. */
export async function readRecords(groups: readonly RecordGroup[]): Promise<SentTable> {
  const records: JsonRecord[] = [];
  const names = new Set<string>();
  const starts: number[] = [];
  for (const { records: ofGroup } of groups) {
    starts.push(records.length);
    for (const record of ofGroup) {
      if (!isObject(record))
        throw new SentTableError(`row ${records.length + 1}: got ${shown(record)}, expected an object`);
      for (const name in record) names.add(name);
      records.push(record);
      if (records.length % ROWS_OF_TURN === 0) await turn();
    }
  }
  return {
    rows: records.length,
    columns: [...names].map((name) => ({
      name,
      cells: {
        form: "values",
        // Every object has something of the name `constructor`.
        at: (row) => (Object.hasOwn(records[row]!, name) ? records[row]![name] : undefined),
      },
    })),
    tickerOf: tickersOf(groups, starts),
    placeOf: () => "",
  };
}

/** @param text a JSON object on each line. @throws SentTableError */
export async function readNdjson(text: string): Promise<SentTable> {
  const records: unknown[] = [];
  const lines: number[] = [];
  let line = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const written = text.slice(at, end < 0 ? text.length : end).trim();
    at = end < 0 ? text.length : end + 1;
    line++;
    if (written === "") continue;
    try {
      records.push(parseExactJson(written));
    } catch (error) {
      throw new SentTableError(
        `row ${records.length + 1} (line ${line}): got ${written.slice(0, SHOWN_LENGTH_MAX)}, expected a JSON object: ${messageOf(error)}`,
      );
    }
    lines.push(line);
    if (records.length % ROWS_OF_TURN === 0) await turn();
  }
  const table = await readRecords([{ ticker: null, records }]);
  return { ...table, placeOf: (row) => ` (line ${lines[row]})` };
}

/** @throws SentTableError a column is no list, or shorter than others. */
export function readLists(columns: JsonRecord): SentTable {
  const lists = Object.entries(columns).map(([name, values]) => {
    if (Array.isArray(values)) return { name, values: values as unknown[] };
    throw new SentTableError(`columns.${name}: got ${shown(values)}, expected a list`);
  });
  const rows = lists[0]?.values.length ?? 0;
  const other = lists.find(({ values }) => values.length !== rows);
  if (other !== undefined)
    throw new SentTableError(
      `columns.${other.name}: got ${other.values.length} values, expected ${rows} as in ${lists[0]!.name}`,
    );
  return {
    rows,
    columns: lists.map(({ name, values }) => ({ name, cells: { form: "values", at: (row) => values[row] } })),
    tickerOf: null,
    placeOf: () => "",
  };
}

/** Rows are asked for in their order, most of the time. */
function tickersOf(
  groups: readonly RecordGroup[],
  starts: readonly number[],
): ((row: number) => string) | null {
  if (groups.every(({ ticker }) => ticker === null)) return null;
  let group = 0;
  return (row) => {
    if (row < starts[group]!) group = 0;
    while (group + 1 < starts.length && row >= starts[group + 1]!) group++;
    return groups[group]!.ticker!;
  };
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_LENGTH_MAX);
}

/** Writes a save as a command. */
import { ID_MEMBERS, QUOTE_ALIASES } from "../../market/tick-names.ts";
import { toWire } from "../../market/timestamp.ts";
import { type JsonRecord, parseWithDigits, rawNumber } from "../../protocol/json.ts";
import { withOwnRows } from "../column-saves.ts";
import type { Save } from "../contract.ts";
import { type KindName, kindOf, partName, type SeriesRow, type SeriesValue } from "../model/kinds.ts";

export interface SaveCommand {
  command: string;
  params: JsonRecord & { data: JsonRecord[] };
}

export function saveCommand(save: Save): SaveCommand {
  const { wire, part, stamp, values, hasSeq } = kindOf(save.kind);
  const missing = "missing" in save ? save.missing : undefined;
  const parts = save.kind === "ticks" ? undefined : save.parts;
  const taken = takenNames(save.kind);
  const rows = withOwnRows(save).rows as SeriesRow[];
  const sent = save.kind === "ticks" ? save.columns?.columns : undefined;
  const data = rows.map((row, rowIndex) => {
    const record: JsonRecord = { [stamp.name]: stamp.type === "date" ? row[0] : toWire(row[0]) };
    if (wire.partInRecords) record[part!] = parts?.[rowIndex] ?? save.part!;
    for (const [index, { name, type, onRequest }] of values.entries()) {
      const value = row[index + 1] ?? null;
      if (missing?.[rowIndex]?.includes(index + 1) || sent?.has(name) === false) continue;
      if (type === "json") Object.assign(record, membersOf(value, taken));
      else if (!onRequest || value !== null) record[name] = type === "count" ? exact(value) : value;
    }
    // Of ticks it isn't told by the record.
    if (hasSeq && wire.part === null) record.seq = row.at(-1);
    return record;
  });
  const places = hasSeq && wire.part !== null ? rows.map((row) => row.at(-1) ?? null) : [];
  return {
    command: wire.save,
    params: {
      ticker: save.ticker,
      ...(wire.part === null || wire.partInRecords ? {} : { [wire.part]: partName(save.kind, save.part) }),
      ...(save.kind === "actions" ? {} : { index_col: stamp.name }),
      on_duplicate: save.onDuplicate === "match" ? "ignore" : save.onDuplicate,
      ...(places.some((place) => place !== null) ? { places } : {}),
      ...("occurrences" in save && save.occurrences !== undefined ? { occurrences: save.occurrences } : {}),
      data,
    },
  };
}

/** What the server reads of a record, so that it would not come into `extra` again. */
function takenNames(kind: KindName): ReadonlySet<string> {
  const { part, stamp, values, computed } = kindOf(kind);
  const names = ["ticker", stamp.name, part ?? "", ...values.map(({ name }) => name), ...computed];
  return new Set([
    ...names,
    "write_timestamp",
    ...(kind === "ticks" ? [...ID_MEMBERS, ...Object.values(QUOTE_ALIASES)] : []),
  ]);
}

/**
 * They go as members of the record, which updates show, and of which the server makes the column
 * again. As it folds the case of names, and reads some, all go below `extra` where one is such.
 */
function membersOf(extra: SeriesValue, taken: ReadonlySet<string>): JsonRecord {
  if (extra === null) return {};
  const members = parseWithDigits(String(extra)) as JsonRecord;
  const arePlain = Object.entries(members).every(
    ([name, value]) => name === name.toLowerCase() && !taken.has(name) && value !== null,
  );
  return arePlain ? members : { extra: members };
}

/** JSON.stringify gives at most 17 digits of a double; 2^60 has more. */
function exact(count: SeriesValue): unknown {
  if (typeof count === "string") return rawNumber(count);
  return count !== null &&
    Number.isInteger(count) &&
    !Number.isSafeInteger(count) &&
    Math.abs(count) < 2 ** 63
    ? rawNumber(String(BigInt(count)))
    : count;
}

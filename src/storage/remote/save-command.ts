/** Writes a save as a command. */
import { toWire } from "../../market/timestamp.ts";
import { type JsonRecord, parseWithDigits, rawNumber } from "../../protocol/json.ts";
import { withOwnRows } from "../column-saves.ts";
import type { Save } from "../contract.ts";
import { extraAsMembers } from "../extra-json.ts";
import { type KindName, kindOf, partName, type SeriesRow, type SeriesValue } from "../model/kinds.ts";

export interface SaveCommand {
  command: string;
  params: JsonRecord & { data: JsonRecord[] };
}

export function saveCommand(save: Save): SaveCommand {
  const { wire, part, stamp, values, hasSeq } = kindOf(save.kind);
  const missing = "missing" in save ? save.missing : undefined;
  const parts = save.kind === "ticks" ? undefined : save.parts;
  const rows = withOwnRows(save).rows as SeriesRow[];
  const sent = save.kind === "ticks" ? save.columns?.columns : undefined;
  const data = rows.map((row, rowIndex) => {
    const record: JsonRecord = { [stamp.name]: stamp.type === "date" ? row[0] : toWire(row[0]) };
    if (wire.partInRecords) record[part!] = parts?.[rowIndex] ?? save.part!;
    for (const [index, { name, type, onRequest }] of values.entries()) {
      const value = row[index + 1] ?? null;
      if (missing?.[rowIndex]?.includes(index + 1) || sent?.has(name) === false) continue;
      if (type === "json") Object.assign(record, membersOf(save.kind, value));
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
      on_duplicate: ruleOf(save.onDuplicate),
      ...(places.some((place) => place !== null) ? { places } : {}),
      ...("occurrences" in save && save.occurrences !== undefined ? { occurrences: save.occurrences } : {}),
      data,
    },
  };
}

function ruleOf(onDuplicate: Save["onDuplicate"]): string {
  return onDuplicate === "match" || onDuplicate === "request" ? "ignore" : onDuplicate;
}

/** They go as members of the record, of which the server makes the column again. */
function membersOf(kind: KindName, extra: SeriesValue): JsonRecord {
  return extra === null ? {} : extraAsMembers(kind, parseWithDigits(String(extra)) as JsonRecord);
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

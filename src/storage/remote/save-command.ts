/** Writes a save as a command. */
import { toWire } from "../../market/timestamp.ts";
import { type JsonRecord, rawNumber } from "../../protocol/json.ts";
import type { Save } from "../contract.ts";
import { kindOf, partName, type SeriesRow, type SeriesValue } from "../model/kinds.ts";

export interface SaveCommand {
  command: string;
  params: JsonRecord & { data: JsonRecord[] };
}

export function saveCommand(save: Save): SaveCommand {
  const { wire, stamp, values, hasSeq } = kindOf(save.kind);
  const data = (save.rows as SeriesRow[]).map((row) => {
    const record: JsonRecord = { [stamp.name]: stamp.type === "date" ? row[0] : toWire(row[0]) };
    for (const [index, { name, type }] of values.entries()) {
      const value = row[index + 1]!;
      record[name] = type === "count" ? exact(value) : value;
    }
    if (hasSeq && row.at(-1) !== null) record.seq = row.at(-1);
    return record;
  });
  return {
    command: wire.save,
    params: {
      ticker: save.ticker,
      ...(wire.part === null ? {} : { [wire.part]: partName(save.kind, save.part), index_col: stamp.name }),
      on_duplicate: save.onDuplicate === "append" ? "ignore" : save.onDuplicate,
      data,
    },
  };
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

/** Reads bars as clients send them: saves store what it reads, and normalized frames tell it. */
import { parseCalendarDate, parseTimestamp, toHourly } from "../market/timestamp.ts";
import type { JsonRecord } from "../protocol/json.ts";
import {
  type ColumnType,
  type KindName,
  kindOf,
  type RowKind,
  type SeriesRow,
  type SeriesValue,
} from "../storage/model/kinds.ts";
import { hasMember, knownMembers, readCount, readExtra, readReal, readStamp } from "./records.ts";

export class BarReader {
  readonly #kind: RowKind;
  readonly #index: string;
  readonly #parse: (value: unknown) => string | null;
  readonly #known: ReadonlySet<string>;

  /** @param index the member that holds the stamp, in lower case. */
  constructor(kind: KindName, index: string) {
    this.#kind = kindOf(kind);
    this.#index = index;
    this.#parse = this.#kind.stamp.type === "date" ? parseCalendarDate : parseHour;
    this.#known = knownMembers(this.#kind, index);
  }

  /** Null: the record has no stamp. @param record of names in lower case. */
  row(record: JsonRecord, i: number): SeriesRow | null {
    const stamp = readStamp(this.#parse, record, this.#index, i);
    if (stamp === null) return null;
    const row: SeriesRow = [stamp];
    for (const { name, type } of this.#kind.values) row.push(this.#value(record, name, type, i));
    return row;
  }

  /** Places of the values that the record doesn't bring. */
  missingOf(record: JsonRecord, row: SeriesRow): number[] {
    return this.#kind.values.flatMap(({ name, type }, index) => {
      const isMissing = type === "json" ? row[index + 1] === null : record[name] === undefined;
      return isMissing ? [index + 1] : [];
    });
  }

  #value(record: JsonRecord, name: string, type: ColumnType, i: number): SeriesValue {
    if (type === "json") return readExtra(record, { known: this.#known }, i);
    return type === "count" ? readCount(record[name], name, i) : readReal(record[name], name, i);
  }
}

/**
 * What the members of bars tell of them, unless their frame says otherwise. Null: nothing.
 *
 * @param records of names in lower case.
 * @param interval null: they are daily or hourly.
 */
export function namesShown(
  records: JsonRecord[],
  interval: string | null,
): { kind: "daily" | "hourly" | "interval"; stampColumn: string } | null {
  const stampColumn = ["datetime", "date"].find((name) => hasMember(records, name));
  if (stampColumn === undefined) return null;
  if (interval !== null) return { kind: "interval", stampColumn };
  return { kind: stampColumn === "date" ? "daily" : "hourly", stampColumn };
}

function parseHour(value: unknown): string | null {
  const stamp = parseTimestamp(value);
  return stamp === null ? null : toHourly(stamp);
}

/** Reads ticks as clients send them: saves store what it reads, and normalized frames tell it. */
import { ID_MEMBERS, type QUOTE_ALIASES } from "../market/tick-names.ts";
import { parseTimestamp } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { TickRow } from "../storage/contract.ts";
import { KINDS } from "../storage/model/kinds.ts";
import { show } from "./params.ts";
import { hasMember, knownMembers, readCount, readExtra, readId, readReal, readStamp } from "./records.ts";

/** What ticks call their stamp, where the request doesn't name it. */
export const USUAL_STAMP = "timestamp";
export const NO_ALIASES = { price: null, size: null } as const;

/** Null: the column has no other name. */
export type Aliases = typeof QUOTE_ALIASES | typeof NO_ALIASES;

export class TickReader {
  readonly #index: string;
  readonly #idColumns: readonly string[];
  readonly #aliases: Aliases;
  readonly #known: ReadonlySet<string>;
  /** Members of the record at hand that are read, beside those of every record. */
  #read: string[] = [];

  constructor(index: string, idColumns: readonly string[], aliases: Aliases) {
    this.#index = index;
    this.#idColumns = idColumns;
    this.#aliases = aliases;
    const known = knownMembers(KINDS.ticks, index);
    // Where another member is the id.
    known.delete("id");
    this.#known = known;
  }

  /** Null: the record has no stamp. */
  row(record: JsonRecord, i: number, place: number | null = null): TickRow | null {
    const stamp = readStamp(parseTimestamp, record, this.#index, i);
    if (stamp === null) return null;
    if (this.#read.length > 0) this.#read = [];
    return [
      stamp,
      readReal(this.#valueOf("price", record), "price", i),
      readCount(this.#valueOf("size", record), "size", i),
      readReal(record.ask_price, "ask_price", i),
      readCount(record.ask_size, "ask_size", i),
      this.#idOf(record, i),
      readExtra(record, { known: this.#known, read: this.#read }, i),
      place,
    ];
  }

  #valueOf(column: "price" | "size", record: JsonRecord): unknown {
    const alias = this.#aliases[column];
    if (alias === null || (record[column] ?? null) !== null) return record[column];
    this.#read.push(alias);
    return record[alias];
  }

  /** The first that the record really has. */
  #idOf(record: JsonRecord, i: number): string | null {
    for (const name of this.#idColumns) {
      if (!Object.hasOwn(record, name)) continue;
      this.#read.push(name);
      const id = readId(record[name], name, i);
      if (id !== null) return id;
    }
    return null;
  }
}

/** @throws RequestError 400 no record has the named column. */
export function idColumnsOf(value: unknown, records: JsonRecord[], index: string): readonly string[] {
  if (value === undefined || value === null) return defaultIdColumns(records, index);
  if (typeof value !== "string")
    throw badRequest(`id_col: got ${show(value)}, expected the name of a column`);
  const name = value.toLowerCase();
  if (hasMember(records, name)) return [name];
  throw badRequest(`id_col: got ${show(value)}, and no row has a column of that name`);
}

/**
 * Those that have ids where the request names none. A column of stamps tells no tick from others of
 * its stamp, however it is called.
 */
export function defaultIdColumns(records: JsonRecord[], index: string): readonly string[] {
  return ID_MEMBERS.filter((name) => name !== index && hasMember(records, name));
}

/** The stamps of a body, in the stored form of the kind. */
import type { WireColumn } from "../../formats/sent-table.ts";
import { textSaysZone, StampReader as ZonedStamps } from "../../market/stamp-reader.ts";
import { parseTimestamp, type StampType, TimestampError, toHourly } from "../../market/timestamp.ts";
import { zoneOf } from "../../market/zone.ts";
import { badRequest } from "../../protocol/errors.ts";
import { daysOf, Int64s, StampReader } from "../../storage/column-values.ts";
import type { ColumnData } from "../../storage/model/columns.ts";
import { eachRow, type ReadPlace, valueReader, wrong } from "./sent-values.ts";

/** What can be stored: see market/timestamp.ts. */
const MICROS_MIN = BigInt(Date.parse("1677-09-22T00:00:00Z")) * 1_000n;
const MICROS_MAX = BigInt(Date.parse("2262-04-12T00:00:00Z")) * 1_000n - 1n;
const SECOND = 1_000_000n;
/** An epoch in digits; eight of them are a date. */
const EPOCH_TEXT = /^-?\d+(?:\.\d+)?$/;
const DATE_DIGITS = 8;
const EXPECTED = "a stamp, as every row has one";

export interface SentStampRules {
  type: StampType;
  /** Of stamps that say none; null: UTC. */
  zone: string | null;
  /** Called once where stamps of a day's time say no zone, and `zone` is null. */
  assumed(): void;
}

/** @param tickerOf tells apart which of two hours a clock means that was put back. */
export async function readStamps(
  column: WireColumn,
  { type, zone, assumed }: SentStampRules,
  { place, tickerOf }: { place: ReadPlace; tickerOf(row: number): string },
): Promise<ColumnData> {
  const { cells } = column;
  const notes = cells.form === "data" ? cells.stamps : undefined;
  const areWallClocks = notes?.areWallClocks === true;
  if (areWallClocks && zone === null && type !== "date") assumed();
  if (cells.form === "data" && cells.data.type === "instant" && type !== "date")
    if (!areWallClocks || zone === null) return wholeStamps(column, cells.data, type, place);
  const reader = new TextStamps(type, { zone: notes?.zone ?? zone, assumed });
  const at = valueReader(column);
  const isDate = type === "date";
  const days = new Int32Array(isDate ? place.rows : 0);
  const micros = new Int64s(isDate ? 0 : place.rows);
  const canonical = new StampReader();
  await eachRow(place.rows, (row) => {
    const value = at(row);
    // The wall clock alone, without the Z that it is read with.
    const sent = areWallClocks && typeof value === "string" ? value.slice(0, -1) : value;
    const stamp = readOne(reader, sent, () => `${place.placeOf(row)}.${column.name}`, tickerOf(row));
    if (stamp === null) throw wrong(column, row, place, EXPECTED);
    if (isDate) days[row] = daysOf(stamp)!;
    else if (!canonical.read(stamp, micros, row)) throw wrong(column, row, place, EXPECTED);
  });
  return isDate
    ? { type: "date", values: days, nulls: null }
    : { type: "instant", values: micros.values, nulls: null };
}

function readOne(reader: TextStamps, value: unknown, nameOf: () => string, ticker: string): string | null {
  try {
    return reader.read(value, ticker);
  } catch (error) {
    // The reader is that of files, where the parameter is a flag.
    if (error instanceof TimestampError)
      throw badRequest(`${nameOf()}: ${error.message.replace("--tz", "tz")}`);
    throw error;
  }
}

/** Microseconds as they came. */
async function wholeStamps(
  column: WireColumn,
  { values, nulls }: ColumnData & { type: "instant" },
  type: StampType,
  place: ReadPlace,
): Promise<ColumnData> {
  const cut = type === "second" ? new BigInt64Array(place.rows) : null;
  await eachRow(place.rows, (row) => {
    const value = values[row]!;
    if (nulls?.[row] === 1) throw wrong(column, row, place, EXPECTED);
    if (value < MICROS_MIN || value > MICROS_MAX)
      throw wrong(column, row, place, "a date from 1677-09-22 to 2262-04-11");
    if (cut !== null) cut[row] = value - (((value % SECOND) + SECOND) % SECOND);
  });
  return { type: "instant", values: cut ?? values, nulls: null };
}

/** Stamps as JSON and text files have them. */
class TextStamps {
  readonly #type: StampType;
  readonly #zoned: ZonedStamps;
  readonly #hasZone: boolean;
  #assumed: (() => void) | null;

  constructor(type: StampType, { zone, assumed }: { zone: string | null; assumed(): void }) {
    const found = zone === null ? null : zoneOf(zone);
    this.#type = type;
    this.#zoned = new ZonedStamps({ kind: type, zone: found });
    this.#hasZone = found !== null;
    this.#assumed = this.#hasZone || type === "date" ? null : assumed;
  }

  /** @throws TimestampError */
  read(value: unknown, ticker: string): string | null {
    if (typeof value !== "string" || (isEpoch(value) && this.#type !== "date")) {
      if (this.#type === "date" && value !== null && value !== undefined)
        return this.#zoned.read(String(value), ticker);
      return this.#cut(parseTimestamp(value));
    }
    if (this.#hasZone || this.#type === "date") return this.#zoned.read(value, ticker);
    if (this.#assumed !== null && value.length > DATE_DIGITS + 2 && !textSaysZone(value)) {
      this.#assumed();
      this.#assumed = null;
    }
    return this.#cut(parseTimestamp(value));
  }

  #cut(stamp: string | null): string | null {
    return stamp === null || this.#type === "instant" ? stamp : toHourly(stamp);
  }
}

function isEpoch(text: string): boolean {
  return EPOCH_TEXT.test(text) && text.length !== DATE_DIGITS;
}

/**
 * Saves of hourly bars: looks up which keys are stored, decides here, and writes with at most two
 * statements.
 */
import type { BarRow, SaveBars, SaveOutcome } from "../contract.ts";
import { chooseBars } from "../staged-bars.ts";
import {
  countText,
  type Field,
  linesWithNames,
  linesWithNamesAndNow,
  Names,
  storable,
  textField,
  toLines,
} from "./lines.ts";
import type { NewestStored } from "./newest-stored.ts";
import type { Session } from "./session.ts";
import type { Write } from "./write.ts";

export interface HourlySaves {
  /** In the order of the saves. */
  outcomes: SaveOutcome[];
  writes: Write[];
}

export async function planHourlySaves(
  saves: SaveBars[],
  { session, newest, now }: { session: Session; newest: NewestStored; now: string },
): Promise<HourlySaves> {
  const names = new Names();
  const asked: [place: number, stamp: string][] = [];
  for (const { ticker, rows } of saves) {
    const place = names.place(ticker);
    for (const [stamp] of rows) {
      if (newest.mayHold(storable(ticker), "", stamp)) asked.push([place, stamp]);
    }
  }
  const stored = await readStored(asked, session, names);
  const chosen = new Map<string, { place: number; row: BarRow }>();
  const outcomes = saves.map((save) => {
    const place = names.place(save.ticker);
    const keyOf = (stamp: string): string => `${place},${stamp}`;
    const { rows, outcome } = chooseBars(
      save,
      (stamp) => stored.has(keyOf(stamp)) || chosen.has(keyOf(stamp)),
    );
    for (const row of rows) chosen.set(keyOf(row[0]), { place, row });
    return outcome;
  });
  const inserted: Field[][] = [];
  const updated: Field[][] = [];
  for (const [key, { place, row }] of chosen) {
    const [stamp, open, high, low, close, volume] = row;
    const fields = [place, stamp, open, high, low, close, countText(volume)];
    (stored.has(key) ? updated : inserted).push(fields);
  }
  const writes: Write[] = [];
  if (inserted.length > 0)
    writes.push({ kind: "insert", sql: INSERT, params: [toLines(inserted), names.json(), now] });
  if (updated.length > 0) {
    const [first, last] = spanOf(updated.map((fields) => fields[1] as string));
    writes.push({ kind: "update", sql: UPDATE, params: [toLines(updated), names.json(), now, first, last] });
  }
  return { outcomes, writes };
}

async function readStored(
  asked: [place: number, stamp: string][],
  session: Session,
  names: Names,
): Promise<Set<string>> {
  if (asked.length === 0) return new Set();
  const rows = await session.rows(
    `SELECT w.place || ',' || strftime(d.datetime, '%Y-%m-%d %H:%M:%S') FROM hourly_prices d JOIN (
       SELECT DISTINCT r[1] AS place, n[r[1]::INTEGER] AS ticker, r[2]::TIMESTAMP AS stamp
       FROM ${linesWithNames("$1", "$2")}) w
     ON d.ticker = w.ticker AND d.datetime = w.stamp WHERE d.datetime BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked), names.json(), ...spanOf(asked.map(([, stamp]) => stamp))],
  );
  return new Set(rows.map(([key]) => key as string));
}

const FIELDS = `n[r[1]::INTEGER] AS ticker, r[2]::TIMESTAMP AS datetime, ${textField(3)} AS open, ${textField(4)} AS high,
  ${textField(5)} AS low, ${textField(6)} AS close, ${textField(7)} AS volume, now::TIMESTAMP AS write_timestamp
  FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
const INSERT = `INSERT INTO hourly_prices BY NAME SELECT ${FIELDS}`;
const UPDATE = `UPDATE hourly_prices d SET open = s.open, high = s.high, low = s.low, close = s.close, volume = s.volume,
  write_timestamp = s.write_timestamp FROM (SELECT ${FIELDS}) s
  WHERE d.ticker = s.ticker AND d.datetime = s.datetime AND d.datetime BETWEEN $4::TIMESTAMP AND $5::TIMESTAMP`;

function spanOf(stamps: string[]): [first: string, last: string] {
  let first = stamps[0]!;
  let last = first;
  for (const stamp of stamps) {
    if (stamp < first) first = stamp;
    if (stamp > last) last = stamp;
  }
  return [first, last];
}

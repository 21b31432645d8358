/**
 * Saves of ticks: looks up, in one query, the stored rows that share a stamp with a record, decides
 * here, and writes with at most two statements.
 */
import type { SaveOutcome, SaveTicks, TickRow } from "../contract.ts";
import { StampTicks } from "../stamp-ticks.ts";
import { areNew, placeTicks } from "../tick-placement.ts";
import { countAsText } from "./json-rows.ts";
import {
  anyTextField,
  countText,
  decodedField,
  type Field,
  linesWithNames,
  linesWithNamesAndNow,
  Names,
  storable,
  storedCountText,
  textField,
  toLines,
} from "./lines.ts";
import type { NewestStored } from "./newest-stored.ts";
import type { CountTypes } from "./schema.ts";
import type { Session } from "./session.ts";
import type { Write } from "./write.ts";

/** One stamp of one series. */
interface Moment {
  place: number;
  stamp: string;
  ticks: StampTicks;
}

export interface TickSaves {
  /** In the order of the saves. */
  outcomes: SaveOutcome[];
  writes: Write[];
}

export async function planTickSaves(
  saves: SaveTicks[],
  {
    session,
    newest,
    countTypes,
    now,
  }: { session: Session; newest: NewestStored; countTypes: CountTypes; now: string },
): Promise<TickSaves> {
  const names = new Names();
  const known = knownSeries(saves, newest);
  const moments = new Map<string, Moment>();
  const asked = new Set<Moment>();
  for (const { ticker, part: type, rows } of saves) {
    const place = names.place(ticker, type);
    if (known.has(seriesOf(ticker, type))) continue;
    for (const [stamp] of rows) {
      const key = `${place},${stamp}`;
      if (moments.has(key)) continue;
      const moment: Moment = { place, stamp, ticks: new StampTicks() };
      moments.set(key, moment);
      if (newest.mayHold(storable(ticker), storable(type), stamp)) asked.add(moment);
    }
  }
  await readStored([...asked], { session, names, moments, countTypes });
  const inserted: Field[][] = [];
  const outcomes = saves.map((save): SaveOutcome => {
    const place = names.place(save.ticker, save.part);
    if (!known.has(seriesOf(save.ticker, save.part)))
      return placeTicks(save, (stamp) => moments.get(`${place},${stamp}`)!.ticks, countText).outcome;
    addInOrder(save.rows, place, inserted);
    return { ok: true, stored: save.rows.length, position: null };
  });
  return { outcomes, writes: writesOf(moments, { names, now, inserted }) };
}

const seriesOf = (ticker: string, type: string): string => `${ticker}\0${type}`;

/** The series of which no row has to be compared: each save is later than all before it. */
function knownSeries(saves: SaveTicks[], newest: NewestStored): Set<string> {
  const ends = new Map<string, string | null>();
  for (const { ticker, part, rows } of saves) {
    const series = seriesOf(ticker, part);
    const end = ends.get(series);
    const before = end === undefined ? newest.of(storable(ticker), storable(part)) : end;
    ends.set(series, before !== null && areNew(rows, before) ? (rows.at(-1)?.[0] ?? before) : null);
  }
  return new Set([...ends].filter(([, end]) => end !== null).map(([series]) => series));
}

/** Ticks without a place follow the one before them. */
function addInOrder(rows: readonly TickRow[], place: number, inserted: Field[][]): void {
  let stamp = "";
  let seq = 0;
  for (const [at, price, size, askPrice, askSize, id, extra, own] of rows) {
    seq = own ?? (at === stamp ? seq + 1 : 0);
    stamp = at;
    const values = [
      price,
      countText(size),
      askPrice,
      countText(askSize),
      anyTextField(id),
      anyTextField(extra),
    ];
    inserted.push([place, stamp, seq, ...values]);
  }
}

async function readStored(
  asked: Moment[],
  {
    session,
    names,
    moments,
    countTypes,
  }: { session: Session; names: Names; moments: Map<string, Moment>; countTypes: CountTypes },
): Promise<void> {
  if (asked.length === 0) return;
  const stamps = asked.map(({ stamp }) => stamp).sort();
  const size = countAsText("d.size", countTypes.get("realtime_data.size"));
  const askSize = countAsText("d.ask_size", countTypes.get("realtime_data.ask_size"));
  const rows = await session.rows(
    `SELECT w.place || ',' || strftime(d.timestamp, '%Y-%m-%d %H:%M:%S.%f'), d.seq, d.price, ${size}, d.ask_price, ${askSize}, d.id, d.extra
     FROM realtime_data d JOIN (
       SELECT r[1] AS place, n[r[1]::INTEGER] AS ticker, n[r[1]::INTEGER + 1] AS type, r[2]::TIMESTAMP AS stamp
       FROM ${linesWithNames("$1", "$2")}) w
     ON d.ticker = w.ticker AND d.type = w.type AND d.timestamp = w.stamp
     WHERE d.timestamp BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked.map(({ place, stamp }) => [place, stamp])), names.json(), stamps[0]!, stamps.at(-1)!],
  );
  for (const [key, seq, price, sizeText, askPrice, askSizeText, id, extra] of rows) {
    moments.get(key as string)?.ticks.addStored(Number(seq), {
      price: price as number | null,
      size: storedCountText(sizeText as string | null),
      askPrice: askPrice as number | null,
      askSize: storedCountText(askSizeText as string | null),
      id: id as string | null,
      extra: extra as string | null,
    });
  }
}

const FIELDS = `n[r[1]::INTEGER] AS ticker, n[r[1]::INTEGER + 1] AS type, r[2]::TIMESTAMP AS timestamp, r[3]::BIGINT AS seq,
  ${textField(4)} AS price, ${textField(5)} AS size, ${textField(6)} AS ask_price, ${textField(7)} AS ask_size,
  ${decodedField(8)} AS id, ${decodedField(9)} AS extra, now::TIMESTAMP AS write_timestamp
  FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
const INSERT = `INSERT INTO realtime_data BY NAME SELECT ${FIELDS}`;
const UPDATE = `UPDATE realtime_data d SET price = s.price, size = s.size, ask_price = s.ask_price, ask_size = s.ask_size,
  id = s.id, extra = s.extra, write_timestamp = s.write_timestamp FROM (SELECT ${FIELDS}) s
  WHERE d.ticker = s.ticker AND d.type = s.type AND d.timestamp = s.timestamp AND d.seq = s.seq
    AND d.timestamp BETWEEN $4::TIMESTAMP AND $5::TIMESTAMP`;

function writesOf(
  moments: Map<string, Moment>,
  { names, now, inserted }: { names: Names; now: string; inserted: Field[][] },
): Write[] {
  const updated: Field[][] = [];
  let first = "~";
  let last = "";
  for (const { place, stamp, ticks } of moments.values()) {
    for (const [seq, { price, size, askPrice, askSize, id, extra, isStored, change }] of ticks.slots) {
      if (change === null) continue;
      const values = [price, size, askPrice, askSize, anyTextField(id), anyTextField(extra)];
      (isStored ? updated : inserted).push([place, stamp, seq, ...values]);
      if (!isStored) continue;
      if (stamp < first) first = stamp;
      if (stamp > last) last = stamp;
    }
  }
  const writes: Write[] = [];
  if (inserted.length > 0)
    writes.push({ kind: "insert", sql: INSERT, params: [toLines(inserted), names.json(), now] });
  if (updated.length > 0)
    writes.push({ kind: "update", sql: UPDATE, params: [toLines(updated), names.json(), now, first, last] });
  return writes;
}

/**
 * Saves of ticks: looks up, in one query, the stored rows that share a stamp with a record, decides
 * here, and writes with at most two statements.
 */
import type { SaveOutcome, SaveTicks } from "../contract.ts";
import { placeTicks, StampTicks } from "../tick-placement.ts";
import { countAsText } from "./json-rows.ts";
import {
  countText,
  type Field,
  linesWithNames,
  linesWithNamesAndNow,
  Names,
  nameField,
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
  const moments = new Map<string, Moment>();
  const asked = new Set<Moment>();
  for (const { ticker, part: type, rows } of saves) {
    const place = names.place(ticker, type);
    for (const [stamp] of rows) {
      const key = `${place},${stamp}`;
      if (moments.has(key)) continue;
      const moment: Moment = { place, stamp, ticks: new StampTicks() };
      moments.set(key, moment);
      if (newest.mayHold(storable(ticker), storable(type), stamp)) asked.add(moment);
    }
  }
  await readStored([...asked], { session, names, moments, countTypes });
  const outcomes = saves.map((save) => {
    const place = names.place(save.ticker, save.part);
    return placeTicks(save, (stamp) => moments.get(`${place},${stamp}`)!.ticks, countText).outcome;
  });
  return { outcomes, writes: writesOf(moments, names, now) };
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
  ${nameField(8)} AS id, ${nameField(9)} AS extra, now::TIMESTAMP AS write_timestamp
  FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
const INSERT = `INSERT INTO realtime_data BY NAME SELECT ${FIELDS}`;
const UPDATE = `UPDATE realtime_data d SET price = s.price, size = s.size, ask_price = s.ask_price, ask_size = s.ask_size,
  id = s.id, extra = s.extra, write_timestamp = s.write_timestamp FROM (SELECT ${FIELDS}) s
  WHERE d.ticker = s.ticker AND d.type = s.type AND d.timestamp = s.timestamp AND d.seq = s.seq
    AND d.timestamp BETWEEN $4::TIMESTAMP AND $5::TIMESTAMP`;

function writesOf(moments: Map<string, Moment>, names: Names, now: string): Write[] {
  const inserted: Field[][] = [];
  const updated: Field[][] = [];
  let first = "~";
  let last = "";
  for (const { place, stamp, ticks } of moments.values()) {
    for (const [seq, { price, size, askPrice, askSize, id, extra, isStored, change }] of ticks.slots) {
      if (change === null) continue;
      const values = [price, size, askPrice, askSize, names.placeOf(id), names.placeOf(extra)];
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

/** Saves of ticks: looks up, in one query, the stored rows that share a stamp with a record, decides here, and writes with at most two statements. */
import type { SaveOutcome, SaveTicks, TickRow } from "../contract.ts";
import { keysTaken } from "../save-refusals.ts";
import { Claims, withSeq } from "../tick-rule.ts";
import { countAsText } from "./json-rows.ts";
import {
  countText,
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

interface Tick {
  price: number | null;
  size: string | null;
  askPrice: number | null;
  askSize: string | null;
}

interface Slot extends Tick {
  stored: boolean;
  changed: boolean;
}

/** The ticks of one stamp of one series, by `seq`: those stored, and those to be. */
interface Moment {
  place: number;
  stamp: string;
  slots: Map<number, Slot>;
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
  for (const { ticker, type, rows } of saves) {
    const place = names.place(ticker, type);
    for (const [stamp] of rows) {
      const key = `${place},${stamp}`;
      if (moments.has(key)) continue;
      const moment: Moment = { place, stamp, slots: new Map() };
      moments.set(key, moment);
      if (newest.mayHold(storable(ticker), storable(type), stamp)) asked.add(moment);
    }
  }
  await readStored([...asked], { session, names, moments, countTypes });
  const outcomes = saves.map((save) => {
    const place = names.place(save.ticker, save.type);
    return apply(save, (stamp) => moments.get(`${place},${stamp}`)!.slots);
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
    `SELECT w.place || ',' || strftime(d.timestamp, '%Y-%m-%d %H:%M:%S.%f'), d.seq, d.price, ${size}, d.ask_price, ${askSize}
     FROM realtime_data d JOIN (
       SELECT r[1] AS place, n[r[1]::INTEGER] AS ticker, n[r[1]::INTEGER + 1] AS type, r[2]::TIMESTAMP AS stamp
       FROM ${linesWithNames("$1", "$2")}) w
     ON d.ticker = w.ticker AND d.type = w.type AND d.timestamp = w.stamp
     WHERE d.timestamp BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked.map(({ place, stamp }) => [place, stamp])), names.json(), stamps[0]!, stamps.at(-1)!],
  );
  for (const [key, seq, price, sizeText, askPrice, askSizeText] of rows) {
    moments.get(key as string)?.slots.set(Number(seq), {
      price: price as number | null,
      size: storedCountText(sizeText as string | null),
      askPrice: askPrice as number | null,
      askSize: storedCountText(askSizeText as string | null),
      stored: true,
      changed: false,
    });
  }
}

/** The rule of `SaveTicks`, on the slots of each stamp. */
function apply(save: SaveTicks, slotsOf: (stamp: string) => Map<number, Slot>): SaveOutcome {
  const { ticker, type, onDuplicate } = save;
  const sequenced = withSeq(save.rows);
  if (onDuplicate === "error") {
    const taken = sequenced.filter(([row, seq]) => slotsOf(row[0]).has(seq));
    if (taken.length > 0) {
      return keysTaken(
        `save_realtime_data: ${ticker} ${type}`,
        taken.map(([row, seq]) => `${row[0]} seq ${seq}`),
      );
    }
  }
  const claims = new Claims(sequenced);
  let stored = 0;
  for (const [row, firstSeq] of sequenced) {
    const slots = slotsOf(row[0]);
    const tick = tickOf(row);
    if (onDuplicate === "replace") {
      slots.set(firstSeq, { ...tick, stored: slots.get(firstSeq)?.stored ?? false, changed: true });
      stored++;
      continue;
    }
    for (let seq = firstSeq; ; seq++) {
      const there = slots.get(seq);
      if (there === undefined) {
        slots.set(seq, { ...tick, stored: false, changed: true });
        stored++;
        claims.claim(row, firstSeq, seq);
        break;
      }
      if (sameTick(there, tick) && claims.isDuplicate(row, firstSeq, seq)) {
        claims.claim(row, firstSeq, seq);
        break;
      }
    }
  }
  return { ok: true, stored, seq: null };
}

function tickOf([, price, size, askPrice, askSize]: TickRow): Tick {
  return { price, size: countText(size), askPrice, askSize: countText(askSize) };
}

function sameTick(a: Tick, b: Tick): boolean {
  return a.price === b.price && a.size === b.size && a.askPrice === b.askPrice && a.askSize === b.askSize;
}

const FIELDS = `n[r[1]::INTEGER] AS ticker, n[r[1]::INTEGER + 1] AS type, r[2]::TIMESTAMP AS timestamp, r[3]::BIGINT AS seq,
  ${textField(4)} AS price, ${textField(5)} AS size, ${textField(6)} AS ask_price, ${textField(7)} AS ask_size, now::TIMESTAMP AS write_timestamp
  FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
const INSERT = `INSERT INTO realtime_data BY NAME SELECT ${FIELDS}`;
const UPDATE = `UPDATE realtime_data d SET price = s.price, size = s.size, ask_price = s.ask_price, ask_size = s.ask_size,
  write_timestamp = s.write_timestamp FROM (SELECT ${FIELDS}) s
  WHERE d.ticker = s.ticker AND d.type = s.type AND d.timestamp = s.timestamp AND d.seq = s.seq
    AND d.timestamp BETWEEN $4::TIMESTAMP AND $5::TIMESTAMP`;

function writesOf(moments: Map<string, Moment>, names: Names, now: string): Write[] {
  const inserted: Field[][] = [];
  const updated: Field[][] = [];
  let first = "~";
  let last = "";
  for (const { place, stamp, slots } of moments.values()) {
    for (const [seq, { price, size, askPrice, askSize, stored, changed }] of slots) {
      if (!changed) continue;
      (stored ? updated : inserted).push([place, stamp, seq, price, size, askPrice, askSize]);
      if (!stored) continue;
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

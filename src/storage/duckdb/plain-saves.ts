/**
 * Saves of one plain kind of rows: looks up which keys are stored, decides here, and writes with at
 * most two statements.
 */
import type { SaveOutcome, SaveRows } from "../contract.ts";
import {
  type ColumnType,
  KIND_NAMES,
  kindOf,
  type RowKind,
  type SeriesRow,
  type SeriesValue,
} from "../model/kinds.ts";
import { chooseRows } from "../staged-rows.ts";
import { countOf } from "../transfer-rows.ts";
import { seriesSql } from "./distinct-values.ts";
import { countAsText } from "./json-rows.ts";
import {
  countText,
  type Field,
  linesWithNames,
  linesWithNamesAndNow,
  Names,
  nameField,
  storable,
  textField,
  toLines,
} from "./lines.ts";
import { type NewestStored, STAMP_FORMATS } from "./newest-stored.ts";
import type { Session } from "./session.ts";
import type { Write } from "./write.ts";

export interface PlainSaves {
  /** In the order of the saves. */
  outcomes: SaveOutcome[];
  writes: Write[];
}

export async function planPlainSaves(
  kind: RowKind,
  saves: SaveRows[],
  { session, newest, now }: { session: Session; newest: NewestStored; now: string },
): Promise<PlainSaves> {
  const names = new Names();
  const asked: Field[][] = [];
  for (const { ticker, part, rows } of saves) {
    const place = placeOf(names, ticker, part);
    for (const row of rows) {
      if (newest.mayHold(storable(ticker), storable(part ?? ""), row[0]))
        asked.push([place, ...keyFields(kind, row)]);
    }
  }
  const stored = await readStored(kind, asked, session, names);
  const merging = await readMerging(kind, saves, session, names);
  const chosen = new Map<string, { place: number; row: SeriesRow }>();
  const outcomes = saves.map((save) => {
    const place = placeOf(names, save.ticker, save.part);
    const keyOf = (row: SeriesRow): string => [place, ...keyFields(kind, row)].join(",");
    const { rows, outcome } = chooseRows(save, {
      has: (row) => chosen.has(keyOf(row)) || stored.has(keyOf(row)),
      row: (row) => chosen.get(keyOf(row))?.row ?? merging.get(keyOf(row)) ?? null,
    });
    for (const row of rows) chosen.set(keyOf(row), { place, row });
    return outcome;
  });
  const inserted: Field[][] = [];
  const updated: Field[][] = [];
  for (const [key, { place, row }] of chosen) {
    const values = kind.values.map(({ type }, index) => fieldOf(type, row[index + 1] ?? null, names));
    const fields = [place, ...keyFields(kind, row), ...values];
    (stored.has(key) ? updated : inserted).push(fields);
  }
  const { insert, update } = WRITES.get(kind)!;
  const writes: Write[] = [];
  if (inserted.length > 0)
    writes.push({ kind: "insert", sql: insert, params: [toLines(inserted), names.json(), now] });
  if (updated.length > 0) {
    const [first, last] = spanOf(updated.map((fields) => fields[1] as string));
    writes.push({ kind: "update", sql: update, params: [toLines(updated), names.json(), now, first, last] });
  }
  return { outcomes, writes };
}

function placeOf(names: Names, ticker: string, part: string | null): number {
  return part === null ? names.place(ticker) : names.place(ticker, part);
}

/** The stamp, and the seq where there is one. */
function keyFields({ hasSeq }: RowKind, row: SeriesRow): Field[] {
  return hasSeq ? [row[0], row.at(-1)!] : [row[0]];
}

/** The columns that name a series, of a line whose first field is their place in the names. */
function seriesOfLine({ part }: RowKind): string {
  const ticker = "n[r[1]::INTEGER] AS ticker";
  return part === null ? ticker : `${ticker}, n[r[1]::INTEGER + 1] AS "${part}"`;
}

async function readStored(
  kind: RowKind,
  asked: Field[][],
  session: Session,
  names: Names,
): Promise<Set<string>> {
  if (asked.length === 0) return new Set();
  const stamp = kind.stamp.name;
  const seq = kind.hasSeq ? ["seq"] : [];
  const same = [...seriesSql(kind), ...seq].map((column) => `d.${column} = w.${column}`);
  const rows = await session.rows(
    `SELECT concat_ws(',', ${["w.place", "w.text", ...seq.map((column) => `w.${column}`)].join(", ")})
     FROM ${kind.table} d JOIN (
       SELECT DISTINCT r[1] AS place, ${seriesOfLine(kind)}, r[2] AS text, r[2]::TIMESTAMP AS stamp
         ${kind.hasSeq ? ", r[3]::BIGINT AS seq" : ""} FROM ${linesWithNames("$1", "$2")}) w
     ON ${same.join(" AND ")} AND d.${stamp} = w.stamp
     WHERE d.${stamp} BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked), names.json(), ...spanOf(asked.map((fields) => fields[1] as string))],
  );
  return new Set(rows.map(([key]) => key as string));
}

function isText(type: ColumnType): boolean {
  return type === "text" || type === "json";
}

function fieldOf(type: ColumnType, value: SeriesValue, names: Names): Field {
  if (isText(type)) return names.placeOf(value as string | null);
  return type === "count" ? countText(value) : value;
}

/** The stored rows that a save goes on from, by place and stamp. Only a "merge" asks for them. */
export async function readMerging(
  kind: RowKind,
  saves: SaveRows[],
  session: Session,
  names: Names,
): Promise<Map<string, SeriesRow>> {
  const asked = saves
    .filter(({ onDuplicate }) => onDuplicate === "merge")
    .flatMap(({ ticker, part, rows }) =>
      rows.map(([stamp]): [number, string] => [placeOf(names, ticker, part), stamp]),
    );
  if (asked.length === 0) return new Map();
  const stamp = kind.stamp.name;
  const same = seriesSql(kind).map((column) => `d.${column} = w.${column}`);
  const values = kind.values.map(({ name, type }) =>
    type === "count" ? countAsText(`d.${name}`, "DOUBLE") : `d.${name}`,
  );
  const rows = await session.rows(
    `SELECT w.place, strftime(d.${stamp}, '${STAMP_FORMATS[kind.stamp.type]}'), ${values.join(", ")}
     FROM ${kind.table} d JOIN (
       SELECT DISTINCT r[1] AS place, ${seriesOfLine(kind)}, r[2]::TIMESTAMP AS stamp
       FROM ${linesWithNames("$1", "$2")}) w
     ON ${same.join(" AND ")} AND d.${stamp} = w.stamp
     WHERE d.${stamp} BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked), names.json(), ...spanOf(asked.map(([, stamp]) => stamp))],
  );
  return new Map(
    rows.map(([place, stamp, ...stored]) => [
      `${place},${stamp}`,
      [
        String(stamp),
        ...kind.values.map(({ type }, index) => {
          const value = (stored[index] ?? null) as SeriesValue;
          return type === "count" ? countOf(value as string | null, kind.label) : value;
        }),
      ],
    ]),
  );
}

function writesOf(kind: RowKind): { insert: string; update: string } {
  const stamp = kind.stamp.name;
  const columns = [...kind.values.map(({ name }) => name), "write_timestamp"];
  const first = kind.hasSeq ? 4 : 3;
  const fields = kind.values.map(({ name, type }, index) => {
    const field = index + first;
    return `${isText(type) ? nameField(field) : textField(field)} AS ${name}`;
  });
  const key = [`r[2]::TIMESTAMP AS ${stamp}`, ...(kind.hasSeq ? ["r[3]::BIGINT AS seq"] : [])];
  const select = `SELECT ${[seriesOfLine(kind), ...key, ...fields].join(", ")},
    now::TIMESTAMP AS write_timestamp FROM ${linesWithNamesAndNow("$1", "$2", "$3")}`;
  const same = [...seriesSql(kind), stamp, ...(kind.hasSeq ? ["seq"] : [])].map(
    (column) => `d.${column} = s.${column}`,
  );
  return {
    insert: `INSERT INTO ${kind.table} BY NAME ${select}`,
    update: `UPDATE ${kind.table} d SET ${columns.map((name) => `${name} = s.${name}`).join(", ")}
      FROM (${select}) s WHERE ${same.join(" AND ")}
      AND d.${stamp} BETWEEN $4::TIMESTAMP AND $5::TIMESTAMP`,
  };
}

const WRITES = new Map(KIND_NAMES.map((name) => [kindOf(name), writesOf(kindOf(name))]));

function spanOf(stamps: string[]): [first: string, last: string] {
  let first = stamps[0]!;
  let last = first;
  for (const stamp of stamps) {
    if (stamp < first) first = stamp;
    if (stamp > last) last = stamp;
  }
  return [first, last];
}

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
import { asksForRows, chooseRows } from "../staged-rows.ts";
import { countOf } from "../transfer-rows.ts";
import { seriesSql } from "./distinct-values.ts";
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
  const lines = new SeriesLines(kind);
  const asked: Field[][] = [];
  for (const { ticker, part, rows } of saves) {
    const line = lines.of(ticker, part);
    for (const row of rows) {
      if (newest.mayHold(storable(ticker), storable(part ?? ""), row[0]))
        asked.push([...line.key(row), line.id]);
    }
  }
  const stored = await readStored(kind, asked, session, lines.names);
  const merging = await readMerging(kind, saves, session, lines);
  const chosen = new Map<string, { line: SeriesLine; row: SeriesRow }>();
  const outcomes = saves.map((save) => {
    const line = lines.of(save.ticker, save.part);
    const keyOf = (row: SeriesRow): string => [line.id, row[0], ...seqField(kind, row)].join(",");
    const { rows, outcome } = chooseRows(save, {
      has: (row) => chosen.has(keyOf(row)) || stored.has(keyOf(row)),
      row: (row) => chosen.get(keyOf(row))?.row ?? merging.get(keyOf(row)) ?? null,
    });
    for (const row of rows) chosen.set(keyOf(row), { line, row });
    return outcome;
  });
  const inserted: Field[][] = [];
  const updated: Field[][] = [];
  for (const [key, { line, row }] of chosen) {
    const values = kind.values.map(({ type }, index) => fieldOf(type, row[index + 1] ?? null));
    const fields = [...line.key(row), ...values];
    (stored.has(key) ? updated : inserted).push(fields);
  }
  const { insert, update } = WRITES.get(kind)!;
  const writes: Write[] = [];
  if (inserted.length > 0)
    writes.push({ kind: "insert", sql: insert, params: [toLines(inserted), lines.names.json(), now] });
  if (updated.length > 0) {
    const [first, last] = spanOf(updated.map((fields) => fields[1] as string));
    writes.push({
      kind: "update",
      sql: update,
      params: [toLines(updated), lines.names.json(), now, first, last],
    });
  }
  return { outcomes, writes };
}

function isAnyText(type: ColumnType): boolean {
  return type === "text" || type === "json";
}

/** How rows of a series begin their lines: place of the ticker, stamp, part, seq. */
interface SeriesLine {
  /** Without a part the place of the ticker. */
  id: number;
  key(row: SeriesRow): Field[];
}

function seqField({ hasSeq }: RowKind, row: SeriesRow): Field[] {
  return hasSeq ? [row.at(-1)!] : [];
}

export class SeriesLines {
  readonly names: Names;
  readonly #kind: RowKind;
  readonly #lines = new Map<string, SeriesLine>();

  constructor(kind: RowKind, names = new Names()) {
    this.#kind = kind;
    this.names = names;
  }

  of(ticker: string, part: string | null): SeriesLine {
    const series = JSON.stringify([ticker, part]);
    let line = this.#lines.get(series);
    if (line === undefined) {
      const place = this.names.place(ticker);
      const rest = part === null ? [] : [anyTextField(part)];
      const key = (row: SeriesRow): Field[] => [place, row[0], ...rest, ...seqField(this.#kind, row)];
      line = { id: part === null ? place : this.#lines.size, key };
      this.#lines.set(series, line);
    }
    return line;
  }
}

/** Fields before the values. */
function keyFields({ part, hasSeq }: RowKind): number {
  return 2 + (part === null ? 0 : 1) + (hasSeq ? 1 : 0);
}

function seqOfLine(kind: RowKind): string[] {
  return kind.hasSeq ? [`r[${keyFields(kind)}]::BIGINT AS seq`] : [];
}

function seriesOfLine({ part }: RowKind): string {
  const ticker = "n[r[1]::INTEGER] AS ticker";
  return part === null ? ticker : `${ticker}, ${decodedField(3)} AS "${part}"`;
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
  const key = [
    "w.id",
    `strftime(d.${stamp}, '${STAMP_FORMATS[kind.stamp.type]}')`,
    ...seq.map(() => "w.seq"),
  ];
  const asLines = [seriesOfLine(kind), "r[2]::TIMESTAMP AS stamp", ...seqOfLine(kind)].join(", ");
  const rows = await session.rows(
    `SELECT concat_ws(',', ${key.join(", ")}) FROM ${kind.table} d JOIN (
       SELECT DISTINCT r[${keyFields(kind) + 1}] AS id, ${asLines} FROM ${linesWithNames("$1", "$2")}) w
     ON ${same.join(" AND ")} AND d.${stamp} = w.stamp
     WHERE d.${stamp} BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked), names.json(), ...spanOf(asked.map((fields) => fields[1] as string))],
  );
  return new Set(rows.map(([key]) => key as string));
}

function fieldOf(type: ColumnType, value: SeriesValue): Field {
  if (value !== null && isAnyText(type)) return anyTextField(String(value));
  return type === "count" ? countText(value) : value;
}

/**
 * The stored rows that a save goes on from, by the id of its line and stamp. See `asksForRows`.
 */
export async function readMerging(
  kind: RowKind,
  saves: SaveRows[],
  session: Session,
  lines: SeriesLines,
): Promise<Map<string, SeriesRow>> {
  const asked = saves.filter(asksForRows).flatMap(({ ticker, part, rows }) => {
    const line = lines.of(ticker, part);
    return rows.map((row) => [...line.key(row), line.id]);
  });
  if (asked.length === 0) return new Map();
  const stamp = kind.stamp.name;
  const same = seriesSql(kind).map((column) => `d.${column} = w.${column}`);
  const values = kind.values.map(({ name, type }) =>
    type === "count" ? countAsText(`d.${name}`, "DOUBLE") : `d.${name}`,
  );
  const rows = await session.rows(
    `SELECT w.id, strftime(d.${stamp}, '${STAMP_FORMATS[kind.stamp.type]}'), ${values.join(", ")}
     FROM ${kind.table} d JOIN (
       SELECT DISTINCT r[${keyFields(kind) + 1}] AS id, ${seriesOfLine(kind)},
         r[2]::TIMESTAMP AS stamp
       FROM ${linesWithNames("$1", "$2")}) w
     ON ${same.join(" AND ")} AND d.${stamp} = w.stamp
     WHERE d.${stamp} BETWEEN $3::TIMESTAMP AND $4::TIMESTAMP`,
    [toLines(asked), lines.names.json(), ...spanOf(asked.map((fields) => fields[1] as string))],
  );
  return new Map(
    rows.map(([id, stamp, ...stored]) => [
      `${id},${stamp}`,
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
  const fields = kind.values.map(({ name, type }, index) => {
    const field = index + keyFields(kind) + 1;
    return `${isAnyText(type) ? decodedField(field) : textField(field)} AS ${name}`;
  });
  const key = [seriesOfLine(kind), `r[2]::TIMESTAMP AS ${stamp}`, ...seqOfLine(kind)];
  const select = `SELECT ${[...key, ...fields].join(", ")},
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

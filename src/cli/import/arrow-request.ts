/**
 * The ticks of a request as Arrow columns, which cost importer and server a fraction of what JSON
 * does. Only where nothing is lost by it: all else goes as JSON.
 */
import type { ArrowEncoder } from "../../formats/arrow.ts";
import type { FormatColumn } from "../../formats/format-columns.ts";
import { isObject } from "../../protocol/json.ts";
import { countData, Int64s, StampReader } from "../../storage/column-values.ts";
import type { ColumnData } from "../../storage/model/columns.ts";
import type { SaveCommand } from "./target.ts";

/** Fewer aren't worth it. */
const ROWS_MIN = 200;
const COLUMNS = ["price", "size", "ask_price", "ask_size"] as const;
const COUNTS: ReadonlySet<string> = new Set(["size", "ask_size"]);

export interface ArrowRequest {
  /** Without its `data`. */
  command: SaveCommand;
  arrow: Uint8Array<ArrayBuffer>;
}

let encoder: Promise<typeof ArrowEncoder> | null = null;

/** @returns null: send it as JSON. */
export async function toArrowRequest({ command, params }: SaveCommand): Promise<ArrowRequest | null> {
  const { data, occurrences, ...others } = params;
  if (command !== "save_realtime_data" || !Array.isArray(data) || data.length < ROWS_MIN) return null;
  if (!Array.isArray(occurrences) || !areOfRequest(data, occurrences)) return null;
  const columns = columnsOf(data);
  if (columns === null) return null;
  // 120 ms: loaded when the first request wants it.
  encoder ??= import("../../formats/arrow.ts").then((formats) => formats.ArrowEncoder);
  const Encoder = await encoder;
  const described = [...columns].map(
    ([name, { type }]): FormatColumn => ({ name, type: type === "text" ? "digits" : type }),
  );
  const arrow = new Encoder(described, { isFile: false, names: new Map() });
  const bytes = Buffer.concat([arrow.encode({ rows: data.length, columns }), arrow.end()]);
  return { command: { command, params: { ...others, occurrences: "request" } }, arrow: bytes };
}

/**
 * Whether the counts are those that the request alone gives: those of equal ticks next to each
 * other.
 */
function areOfRequest(data: unknown[], occurrences: unknown[]): boolean {
  for (let row = 0; row < data.length; row++) {
    const count = occurrences[row];
    if (count === 0) continue;
    let before = 0;
    for (let other = row - 1; other >= 0 && isSame(data[other], data[row], "timestamp"); other--) {
      if (COLUMNS.every((name) => isSame(data[other], data[row], name))) before++;
    }
    if (before !== count) return false;
  }
  return true;
}

function isSame(a: unknown, b: unknown, name: string): boolean {
  return isObject(a) && isObject(b) && a[name] === b[name];
}

function columnsOf(data: readonly unknown[]): Map<string, ColumnData> | null {
  const rows = data.length;
  const stamps = new Int64s(rows);
  const reader = new StampReader();
  const sent = COLUMNS.filter((name) => (data[0] as object) !== null && name in (data[0] as object));
  const values = sent.map(() => new Float64Array(rows));
  const nulls: (Uint8Array | null)[] = sent.map(() => null);
  for (let row = 0; row < rows; row++) {
    const record = data[row] as Record<string, unknown>;
    let members = 0;
    for (const _ in record) members++;
    const { timestamp } = record;
    if (members !== sent.length + 1 || typeof timestamp !== "string") return null;
    if (!reader.read(timestamp, stamps, row)) return null;
    for (let column = 0; column < sent.length; column++) {
      const value = record[sent[column]!];
      if (typeof value === "number") values[column]![row] = value;
      else if (value === null) {
        nulls[column] ??= new Uint8Array(rows);
        nulls[column]![row] = 1;
      } else return null;
    }
  }
  const columns = new Map<string, ColumnData>([
    ["timestamp", { type: "instant", values: stamps.values, nulls: null }],
  ]);
  for (const [index, name] of sent.entries()) {
    const of = values[index]!;
    const isThere = nulls[index]!;
    columns.set(
      name,
      COUNTS.has(name) ? countData(of, new Map(), isThere) : { type: "double", values: of, nulls: isThere },
    );
  }
  return columns;
}

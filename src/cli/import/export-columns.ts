/**
 * What `stock-db-server export` writes beside the columns of a kind: in columns, or in the names of
 * folders as Hive has them, `ticks/type=trade/ticker=AAPL/rows.parquet`.
 */
import type { SourceField } from "../../market/csv.ts";
import { isObject, type JsonRecord, parseWithDigits } from "../../protocol/json.ts";

export interface ExportColumns {
  /** The type of ticks, or the length of bars; null: the folder says it. */
  part: number | null;
  /** Which number a tick has within its stamp. */
  place: number | null;
  /** The JSON of what the tables have no column for. */
  extra: number | null;
}

export function exportColumns(names: readonly string[]): ExportColumns {
  const find = (...known: string[]): number | null => {
    const index = names.findIndex((name) => known.includes(name));
    return index < 0 ? null : index;
  };
  return { part: find("type", "interval"), place: find("seq"), extra: find("extra") };
}

export interface FolderNames {
  ticker: string | null;
  /** The type of ticks, or the length of bars. */
  part: string | null;
}

/** A name that is too long is cut into folders, each with a `%` at its end. */
const FOLDER = /(?:^|\/)(ticker|type|interval)=((?:[^/]*%\/)*[^/]*)(?=\/)/g;
const WHOLE_KIND = /(?:^|\/)(daily|hourly)\/ticker=/;

export function folderNames(path: string): FolderNames {
  const found: FolderNames = { ticker: null, part: WHOLE_KIND.exec(path)?.[1] ?? null };
  for (const [, key, text] of path.matchAll(FOLDER)) {
    const name = decoded(text!);
    if (key === "ticker") found.ticker = name;
    else found.part = name;
  }
  return found;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("%/", "").replace(/%$/, ""));
  } catch {
    return text;
  }
}

/** @param field The text of JSON, or what it says. @returns null when it is no object. */
export function extraMembers(field: SourceField): JsonRecord | null {
  if (typeof field !== "string") return isObject(field) ? field : null;
  try {
    const value = parseWithDigits(field);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** What users call kinds of rows, or parts of them: `ticks`, `trades`, `ticks:trade`, `1min`. */
import { parseInterval } from "../../market/interval.ts";
import { barSeries, isKindName, KIND_NAMES, type KindName, kindOf } from "./kinds.ts";

export interface NamedKind {
  kind: KindName;
  /** Null: all, or a kind without parts. */
  part: string | null;
}

/** @returns null: it names none. */
export function kindNamed(name: string): NamedKind | null {
  if (isKindName(name)) return { kind: name, part: null };
  const [, kind, part] = /^([^:]*):(.+)$/s.exec(name) ?? [];
  if (isKindName(kind) && part !== undefined) return kindOf(kind).part === null ? null : { kind, part };
  const length = parseInterval(name);
  if (length !== null) return barSeries(length);
  // trade, trades
  for (const each of KIND_NAMES)
    for (const known of kindOf(each).snapshotParts ?? [])
      if (name === known || name === `${known}s`) return { kind: each, part: known };
  return null;
}

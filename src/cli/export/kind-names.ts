/** What `--kind` names: kinds of rows, or parts of them. */
import { quoted, UsageError } from "../../config/usage-error.ts";
import { parseInterval } from "../../market/interval.ts";
import { barSeries, isKindName, KIND_NAMES, type KindName, kindOf } from "../../storage/model/kinds.ts";

export interface KindSelection {
  kind: KindName;
  /** Null: all, or a kind without parts. */
  parts: string[] | null;
  /** Inclusive, in the kind's stored form; null is unbounded. */
  from: string | null;
  to: string | null;
}

type Bound = (kind: KindName) => string | null;
type Named = Pick<KindSelection, "kind"> & { part: string | null };

/** @param of `label`: command and flag. @throws UsageError */
export function selectKinds(
  names: string[] | null,
  { label, from, to, expected }: { label: string; from: Bound; to: Bound; expected: string },
): KindSelection[] {
  const named = names?.map((name) => {
    const found = kindNamed(name);
    if (found === null) throw new UsageError(`${label} ${quoted(name)}: ${expected}`);
    return found;
  });
  return KIND_NAMES.flatMap((kind) => {
    const parts = named?.filter((each) => each.kind === kind).map(({ part }) => part) ?? [null];
    if (parts.length === 0) return [];
    const some = parts.flatMap((part) => (part === null ? [] : [part]));
    const isAll = some.length < parts.length;
    return [{ kind, parts: isAll ? null : [...new Set(some)].sort(), from: from(kind), to: to(kind) }];
  });
}

function kindNamed(name: string): Named | null {
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

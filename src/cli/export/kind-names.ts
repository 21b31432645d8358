/** What `--kind` names: kinds of rows, or parts of them. */
import { quoted, UsageError } from "../../config/usage-error.ts";
import { kindNamed } from "../../storage/model/kind-names.ts";
import { KIND_NAMES, type KindName } from "../../storage/model/kinds.ts";

export interface KindSelection {
  kind: KindName;
  /** Null: all, or a kind without parts. */
  parts: string[] | null;
  /** Inclusive, in the kind's stored form; null is unbounded. */
  from: string | null;
  to: string | null;
}

type Bound = (kind: KindName) => string | null;

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

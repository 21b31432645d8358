import { editOfType, isReservedType, TICKER_RENAME } from "../protocol/frames.ts";

/**
 * The types of updates that a subscription wants: some, or all but some. Compare filters by `key`.
 */

export interface TypeFilter {
  /** True: all but `names`; false: only `names`. */
  readonly allBut: boolean;
  /** Sorted, each once. */
  readonly names: readonly string[];
  /** Equal for filters that mean the same. */
  readonly key: string;
}

export const ALL_TYPES: TypeFilter = make(true, []);

export function onlyTypes(names: Iterable<string>): TypeFilter {
  return make(false, names);
}

/** @param type of an update. Removals and renamings concern whoever has rows of that kind. */
/**
 * Whether a subscription gets an update of the type. One of removed or renamed rows is for whoever
 * gets the saves of such rows, and has a name of its own beside.
 */
export function matches({ names, allBut }: TypeFilter, type: string): boolean {
  if (names.length === 0) return allBut;
  const edit = editOfType(type);
  if (edit === null) return names.includes(type) !== allBut;
  const { name, of } = edit;
  if (allBut) return !names.includes(name) && (of === null || !names.includes(of));
  if (names.includes(name) || (of !== null && names.includes(of))) return true;
  return of === null && (name === TICKER_RENAME || names.some((each) => !isReservedType(each)));
}

export function isNothing(filter: TypeFilter): boolean {
  return !filter.allBut && filter.names.length === 0;
}

export function union(a: TypeFilter, b: TypeFilter): TypeFilter {
  if (a.allBut && b.allBut)
    return make(
      true,
      a.names.filter((name) => b.names.includes(name)),
    );
  if (a.allBut)
    return make(
      true,
      a.names.filter((name) => !b.names.includes(name)),
    );
  if (b.allBut) return union(b, a);
  return make(false, [...a.names, ...b.names]);
}

/** What `filter` wants and `without` doesn't. */
export function minus(filter: TypeFilter, without: TypeFilter): TypeFilter {
  if (without.allBut)
    return make(
      false,
      without.names.filter((name) => matches(filter, name)),
    );
  if (filter.allBut) return make(true, [...filter.names, ...without.names]);
  return make(
    false,
    filter.names.filter((name) => !without.names.includes(name)),
  );
}

/** As clients see it: `["quote"]`, `["*"]`, `["*","-bar"]`. */
export function shownTypes({ allBut, names }: TypeFilter): string[] {
  return allBut ? ["*", ...names.map((name) => `-${name}`)] : [...names];
}

function make(allBut: boolean, names: Iterable<string>): TypeFilter {
  const sorted = [...new Set(names)].sort();
  return { allBut, names: sorted, key: JSON.stringify([allBut, ...sorted]) };
}

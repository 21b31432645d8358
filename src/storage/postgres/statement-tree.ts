import type { Node } from "./sql-parser.ts";

/** A query may hold these in its WITH. */
export const WRITERS: ReadonlySet<string> = new Set(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

export interface Field {
  /** The node's name if the value is wrapped in one, or else the field's name. */
  key: string;
  value: Node;
  /** The statements around it, the outermost first. */
  parents: readonly string[];
}

export interface RelationName {
  schemaname?: string;
  relname: string;
  relpersistence?: string;
}

/**
 * Walks over every object of the tree but constants, which name nothing. It doesn't recurse, so
 * depth doesn't matter.
 */
export function* fieldsOf(root: Node): Generator<Field> {
  const waiting: Field[] = [{ value: root, key: "", parents: [] }];
  for (let field = waiting.pop(); field !== undefined; field = waiting.pop()) {
    const { value, key, parents } = field;
    if (!Array.isArray(value)) {
      yield field;
      const around = STATEMENT.test(key) ? [...parents, key] : parents;
      for (const [name, child] of Object.entries(value))
        if (typeof child === "object" && child !== null && name !== "A_Const")
          waiting.push({ value: child as Node, key: name, parents: around });
    } else {
      for (const child of value) if (typeof child === "object") waiting.push({ value: child, key, parents });
    }
  }
}

const STATEMENT = /Stmt$/;

export function stringsOf(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: Node) => {
    const text = (item as { String?: { sval?: string } }).String?.sval;
    return text === undefined ? [] : [text];
  });
}

/** The schema is undefined if the name has none. */
export function qualified(list: unknown): [schema: string | undefined, name: string | undefined] {
  const names = stringsOf(list);
  return [names.at(-2), names.at(-1)];
}

/** Walks over what PostgreSQL's parser has read. */
import type { Node } from "./sql-parser.ts";

/** Statements that change rows; a query may hold them in its WITH. */
export const WRITERS: ReadonlySet<string> = new Set(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** A field of the tree, at any depth. */
export interface Field {
  /** The node's name for what is wrapped in one, else the name of the field. */
  key: string;
  value: Node;
  /** The names of all around it, the outermost first. */
  parents: readonly string[];
}

/** A table, view or index, as a statement names it. */
export interface RelationName {
  schemaname?: string;
  relname: string;
  relpersistence?: string;
}

/**
 * Every object of the tree, in no particular order; without recursion, however deep it is.
 * Constants are left out: they name nothing.
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

/** The strings of a list such as a qualified name; what is no string is left out. */
export function stringsOf(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: Node) => {
    const text = (item as { String?: { sval?: string } }).String?.sval;
    return text === undefined ? [] : [text];
  });
}

/** `[schema, name]` of a qualified name; the schema undefined where it isn't told. */
export function qualified(list: unknown): [schema: string | undefined, name: string | undefined] {
  const names = stringsOf(list);
  return [names.at(-2), names.at(-1)];
}

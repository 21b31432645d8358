/**
 * Refuses what the text of a user's statement does to the server's tables. Users may change rows of
 * bars and ticks, but no table's shape and no bookkeeping. TableGuard finds what functions do.
 */

import { refused } from "../sql-answer.ts";
import { BOOKKEEPING, OWN_INDEXES, OWN_SEQUENCE, OWN_TABLES } from "./own-names.ts";
import type { Node } from "./sql-parser.ts";
import { type Field, type RelationName, stringsOf, WRITERS } from "./statement-tree.ts";

const SHAPE = "the server's own tables are not to be changed; ask whoever runs the database";
const BOOKS = "it is the server's bookkeeping";

/** The field that names the relation, in statements that change one or put something on it. */
const CHANGED_BY: Record<string, string> = {
  AlterTableStmt: "relation",
  RenameStmt: "relation",
  AlterObjectSchemaStmt: "relation",
  IndexStmt: "relation",
  CreateTrigStmt: "relation",
  RuleStmt: "relation",
  CreatePolicyStmt: "table",
  AlterPolicyStmt: "table",
  AlterSeqStmt: "sequence",
  Constraint: "pktable",
};
/** DROP and COMMENT name these behind the table's name. */
const OBJECTS_OF_TABLES = new Set(
  ["TRIGGER", "RULE", "POLICY", "COLUMN", "TABCONSTRAINT"].map((name) => `OBJECT_${name}`),
);

/** @throws RequestError 400. */
export function refuseOwnTables({ key, value }: Field, schema: string): void {
  const isOwn = (relation: unknown): relation is RelationName => isOwnTable(relation, schema, OWN_TABLES);
  const changed = CHANGED_BY[key];
  if (changed !== undefined && isOwn(value[changed])) throw refusedChange(value[changed]);
  if (WRITERS.has(key) && isOwnTable(value.relation, schema, BOOKKEEPING)) throw refusedWrite(value.relation);
  if (key === "TruncateStmt") {
    for (const relation of rangeVars(value.relations))
      if (isOwnTable(relation, schema, BOOKKEEPING)) throw refusedWrite(relation);
  }
  // CREATE TABLE … INHERITS, PARTITION OF; GRANT.
  for (const list of [value.inhRelations, key === "GrantStmt" ? value.objects : []])
    for (const relation of rangeVars(list)) if (isOwn(relation)) throw refusedChange(relation);
  if (key === "DropStmt")
    for (const object of asList(value.objects)) refuseObject(value.removeType, object, isOwn);
  if (key === "CommentStmt") refuseObject(value.objtype, value.object, isOwn);
}

function refuseObject(type: unknown, object: unknown, isOwn: (relation: RelationName) => boolean): void {
  const names = stringsOf((object as { List?: { items?: unknown } } | undefined)?.List?.items);
  const table = OBJECTS_OF_TABLES.has(String(type)) ? names.slice(0, -1) : names;
  const relname = table.at(-1);
  const schemaname = table.at(-2);
  if (relname === undefined) return;
  const relation = schemaname === undefined ? { relname } : { schemaname, relname };
  if (isOwn(relation)) throw refusedChange(relation);
}

function isOwnTable(relation: unknown, schema: string, names: readonly string[]): relation is RelationName {
  const { schemaname = schema, relname } = (relation ?? {}) as Partial<RelationName>;
  if (relname === undefined || schemaname !== schema) return false;
  return names.includes(relname) || relname === OWN_SEQUENCE || OWN_INDEXES.includes(relname);
}

function rangeVars(list: unknown): RelationName[] {
  return asList(list).flatMap((item) => (item.RangeVar === undefined ? [] : [item.RangeVar as RelationName]));
}

function asList(list: unknown): Node[] {
  return Array.isArray(list) ? list : [];
}

function refusedChange({ relname }: RelationName): Error {
  return refused(`a change of ${relname}`, SHAPE);
}

function refusedWrite({ relname }: RelationName): Error {
  return refused(`writing into ${relname}`, BOOKS);
}

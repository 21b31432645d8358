/** Which statements of users are carried out at all, by what PostgreSQL's parser calls them. */
import { refused } from "../sql-answer.ts";
import type { Node } from "./sql-parser.ts";

const ONE_TRANSACTION = "each request is one transaction of its own";
const OWN_SETTINGS = "settings of the database are the server's";
const NO_SESSION = "nothing of a request outlasts it";
const NO_FILES = "it reads or writes files beside the tables";
const ADMINISTRATION = "it is administration of the database server";

/** What a user would call them, and why they are refused. */
const REFUSED: Record<string, [what: string, why: string]> = {
  TransactionStmt: ["a transaction of its own", ONE_TRANSACTION],
  VariableSetStmt: ["SET", OWN_SETTINGS],
  ConstraintsSetStmt: ["SET CONSTRAINTS", OWN_SETTINGS],
  PrepareStmt: ["PREPARE", NO_SESSION],
  ExecuteStmt: ["EXECUTE", NO_SESSION],
  DeallocateStmt: ["DEALLOCATE", NO_SESSION],
  DiscardStmt: ["DISCARD", NO_SESSION],
  DeclareCursorStmt: ["DECLARE", NO_SESSION],
  FetchStmt: ["FETCH", NO_SESSION],
  ClosePortalStmt: ["CLOSE", NO_SESSION],
  ListenStmt: ["LISTEN", NO_SESSION],
  UnlistenStmt: ["UNLISTEN", NO_SESSION],
  LockStmt: ["LOCK", NO_SESSION],
  CopyStmt: ["COPY", NO_FILES],
};

/**
 * Carried out. What is neither here nor above is administration, also what a later PostgreSQL
 * brings.
 */
const ALLOWED = new Set([
  ...["SelectStmt", "VariableShowStmt", "ExplainStmt"],
  ...[
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
    "TruncateStmt",
    "DoStmt",
    "CallStmt",
    "NotifyStmt",
  ],
  ...[
    "CreateStmt",
    "CreateTableAsStmt",
    "AlterTableStmt",
    "RenameStmt",
    "DropStmt",
    "CommentStmt",
    "GrantStmt",
  ],
  ...[
    "ViewStmt",
    "RefreshMatViewStmt",
    "IndexStmt",
    "CreateSeqStmt",
    "AlterSeqStmt",
    "CreateStatsStmt",
    "AlterStatsStmt",
  ],
  ...[
    "CreateSchemaStmt",
    "AlterObjectSchemaStmt",
    "AlterObjectDependsStmt",
    "AlterOwnerStmt",
    "CreateForeignTableStmt",
  ],
  ...[
    "CreateFunctionStmt",
    "AlterFunctionStmt",
    "CreateTrigStmt",
    "RuleStmt",
    "CreatePolicyStmt",
    "AlterPolicyStmt",
  ],
  ...[
    "DefineStmt",
    "CompositeTypeStmt",
    "CreateEnumStmt",
    "AlterEnumStmt",
    "CreateRangeStmt",
    "CreateDomainStmt",
  ],
  ...[
    "AlterDomainStmt",
    "AlterTypeStmt",
    "AlterOperatorStmt",
    "CreateOpClassStmt",
    "CreateOpFamilyStmt",
    "AlterOpFamilyStmt",
  ],
  ...["AlterCollationStmt", "AlterTSDictionaryStmt", "AlterTSConfigurationStmt"],
  ...["VacuumStmt", "ClusterStmt", "ReindexStmt"],
]);

/**
 * Objects of the whole database or of the database server, for CREATE, ALTER, DROP, COMMENT, GRANT
 * of any kind.
 */
const REFUSED_OBJECTS = new Set(
  [
    ...["DATABASE", "ROLE", "TABLESPACE", "PARAMETER_ACL", "EXTENSION", "LANGUAGE", "FOREIGN_SERVER", "FDW"],
    ...["EVENT_TRIGGER", "PUBLICATION", "SUBSCRIPTION", "ACCESS_METHOD", "CAST", "TRANSFORM", "CONVERSION"],
    ...["LARGEOBJECT", "USER_MAPPING"],
  ].map((name) => `OBJECT_${name}`),
);
const OBJECT_FIELDS = ["removeType", "renameType", "objectType", "objtype", "kind"];

/** @param name of the statement's node. @throws RequestError 400. */
export function refuseStatement(name: string, statement: Node): void {
  const rule = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
  if (rule !== undefined) throw refused(verbOf(statement) ?? rule[0], rule[1]);
  if (!ALLOWED.has(name)) throw refused(spoken(name), ADMINISTRATION);
  for (const field of OBJECT_FIELDS) {
    const object = statement[field];
    if (typeof object === "string" && REFUSED_OBJECTS.has(object))
      throw refused(
        `a change of ${object.slice("OBJECT_".length).toLowerCase().replace("_", " ")}s`,
        ADMINISTRATION,
      );
  }
}

/** BEGIN, ROLLBACK, RESET …, which have a node in common with others. */
function verbOf({ kind }: Node): string | undefined {
  return /^(?:TRANS_STMT|VAR)_(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE|RESET)/.exec(
    String(kind),
  )?.[1];
}

/** `CREATE EXTENSION` of CreateExtensionStmt. */
function spoken(name: string): string {
  return name
    .replace(/Stmt$/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toUpperCase();
}

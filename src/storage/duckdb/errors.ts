/** Classes of DuckDB's errors. The driver throws plain errors whose text begins with the class. */
import { messageOf } from "../../protocol/message-of.ts";

/** Another transaction changed the same rows or table: a new try may succeed. */
export function isConflict(error: unknown): boolean {
  const text = messageOf(error);
  return (
    /^TransactionContext Error:.*(conflict|another transaction has altered)/is.test(text) ||
    /write-write conflict/i.test(text)
  );
}

/** A commit without memory has another class; it keeps nothing. */
export function isOutOfMemory(error: unknown): boolean {
  return /^Out of Memory Error:|failed to (pin|allocate) /.test(messageOf(error));
}

/** A ROLLBACK found no transaction. */
export function hasNoTransaction(error: unknown): boolean {
  return messageOf(error).includes("no transaction is active");
}

/** The instance refuses everything from now on; only a new process helps. */
export function isFatal(error: unknown): boolean {
  return /^(FATAL|INTERNAL) Error:/.test(messageOf(error));
}

/**
 * A rule that users made refuses written rows. Lack of disk or memory,
 * or a missing table, is not the rows' fault.
 */
export function isRefusal(error: unknown): boolean {
  return /^(Constraint|Conversion|Out of Range) Error:/.test(messageOf(error));
}

/** A server's statement found that a table is gone, or has lost a column or its type. */
export function isBroken(error: unknown): boolean {
  return /^(Catalog|Binder|Conversion|Mismatch Type) Error:/.test(messageOf(error));
}

export function isReadOnlyRefusal(error: unknown): boolean {
  return messageOf(error).includes("transaction is launched in read-only mode");
}

export function isFileRefusal(error: unknown): boolean {
  return messageOf(error).includes("file system operations are disabled by configuration");
}

/** The first line without its class, and the rest, which points into the statement. */
export function wordsOf(error: unknown): { message: string; rest: string | null } {
  const [first = "", ...rest] = messageOf(error).split("\n");
  const tail = rest.join("\n").trim();
  return {
    message: first.replace(/^(Failed to extract statements: )?[A-Za-z ]+ Error: /, ""),
    rest: tail === "" ? null : tail,
  };
}

export function isOpenElsewhere(error: unknown): boolean {
  return /Could not set lock/i.test(messageOf(error));
}

export function explain(error: unknown): string {
  const message = messageOf(error);
  return isOpenElsewhere(error)
    ? `another process has it open; use that server's address, or stop it first (${message.split("\n")[0]})`
    : message;
}

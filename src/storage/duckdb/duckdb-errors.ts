/**
 * What an error of DuckDB says about the next try. The driver hands out plain errors: their class
 * is the beginning of the text.
 */
import { messageOf } from "../../protocol/message-of.ts";

/**
 * Two transactions changed the same rows, or the shape of the same table: one of them may try
 * again.
 */
export function isConflict(error: unknown): boolean {
  const text = messageOf(error);
  return (
    /^TransactionContext Error:.*(conflict|another transaction has altered)/is.test(text) ||
    /write-write conflict/i.test(text)
  );
}

/** A commit that finds no memory says so under another class; nothing of it is kept. */
export function isOutOfMemory(error: unknown): boolean {
  return /^Out of Memory Error:|failed to (pin|allocate) /.test(messageOf(error));
}

/** Of a ROLLBACK: there is nothing to roll back. */
export function hasNoTransaction(error: unknown): boolean {
  return messageOf(error).includes("no transaction is active");
}

/** The instance refuses everything from now on; only a new process helps. */
export function isFatal(error: unknown): boolean {
  return /^(FATAL|INTERNAL) Error:/.test(messageOf(error));
}

/**
 * The rows are at fault, by a rule that users made with SQL; not the disk or memory, which the next
 * save would meet too, nor a table that is gone or has lost a column. Of errors of statements that
 * write the rows themselves.
 */
export function isRefusal(error: unknown): boolean {
  return /^(Constraint|Conversion|Out of Range) Error:/.test(messageOf(error));
}

/**
 * A table of the server is gone, or has lost a column or its type. Of errors of the server's own
 * statements.
 */
export function isBroken(error: unknown): boolean {
  return /^(Catalog|Binder|Conversion|Mismatch Type) Error:/.test(messageOf(error));
}

export function isReadOnlyRefusal(error: unknown): boolean {
  return messageOf(error).includes("transaction is launched in read-only mode");
}

/** A statement names a file, which the instance's settings keep from it. */
export function isFileRefusal(error: unknown): boolean {
  return messageOf(error).includes("file system operations are disabled by configuration");
}

/** Its first line without its class, and the rest, which points at the place in the statement. */
export function wordsOf(error: unknown): { message: string; rest: string | null } {
  const [first = "", ...rest] = messageOf(error).split("\n");
  const tail = rest.join("\n").trim();
  return {
    message: first.replace(/^(Failed to extract statements: )?[A-Za-z ]+ Error: /, ""),
    rest: tail === "" ? null : tail,
  };
}

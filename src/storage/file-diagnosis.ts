/** What `doctor` says of a database file whatever its engine is. */
import { closeSync, openSync, readSync } from "node:fs";
import { findWideFiles } from "../config/file-mode.ts";
import type { Finding } from "./diagnosis.ts";

export function notThere(path: string): Finding {
  return {
    level: "warning",
    subject: "file",
    finding: `there is no ${path} yet`,
    advice:
      "if it should be there, look at the path and at the working folder; if not, the server creates it",
  };
}

export function notAFile(path: string): Finding {
  const advice = "give the path of a database file with --db-file";
  return { level: "fail", subject: "file", finding: `${path} is no file`, advice };
}

/** @param paths of the database and of what may be beside it. @param mode that new files get. */
export function diagnoseMode(paths: readonly string[], mode: string): Finding {
  const subject = "file mode";
  const wide = findWideFiles(paths, mode);
  if (wide === null) return { level: "ok", subject, finding: `no wider than ${mode}` };
  return { level: "warning", subject, finding: `others may use ${wide.found}`, advice: wide.remedy };
}

export function emptyFile(path: string): Finding {
  return { level: "ok", subject: "file", finding: `${path} is empty, a database without tables` };
}

/** @param error of the file system; any other is thrown. */
export function noAccess(path: string, error: unknown): Finding {
  if (!(error instanceof Error && "code" in error)) throw error;
  return {
    level: "fail",
    subject: "file",
    finding: `${path} can't be read and written: ${error.code}`,
    advice:
      "run the server as the file's owner, or change its owner and mode; EROFS: the disk is mounted read-only",
  };
}

/**
 * Fewer characters where the file ends before.
 *
 * @param flags of open(2): "r", or "r+" where it has to be writable.
 */
export function readBytes(path: string, flags: "r" | "r+", from: number, length: number): string {
  const fd = openSync(path, flags);
  try {
    const bytes = Buffer.alloc(length);
    return bytes.toString("latin1", 0, readSync(fd, bytes, 0, length, from));
  } finally {
    closeSync(fd);
  }
}

/** States of its tables that mean the same in every engine. */
export type PlainSchemaState =
  | { state: "current" | "empty" }
  | { state: "newer"; version: number }
  | { state: "unusable"; reason: string };

/** @param known the schema's version that this server makes. */
export function describePlainSchema(schema: PlainSchemaState, known: number): Finding {
  const subject = "schema";
  switch (schema.state) {
    case "current":
      return { level: "ok", subject, finding: `version ${known}, the one of this server` };
    case "empty":
      return { level: "ok", subject, finding: "no tables yet; the server creates them when it starts" };
    case "newer":
      return {
        level: "fail",
        subject,
        finding: `version ${schema.version}, written by a newer server; this one knows up to ${known}`,
        advice: "serve it with the newer server",
      };
    case "unusable":
      return {
        level: "fail",
        subject,
        finding: schema.reason,
        advice: "the server won't start on it: put back a copy of the file, or rename that table",
      };
  }
}

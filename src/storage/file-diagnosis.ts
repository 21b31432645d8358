/** `doctor` on a database file of any engine. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { findWideFiles } from "../config/file-mode.ts";
import { type DiagnosisStep, type Finding, fail, ok, warning } from "./diagnosis.ts";
import { diagnoseFolder, nearestFolder } from "./folder-diagnosis.ts";

/**
 * How every diagnosis of a file begins. @param look at a path that is there.
 * @returns Whether the file can be opened.
 */
export function* diagnoseFileFirst(
  path: string,
  look: (path: string) => Finding,
): Generator<DiagnosisStep, boolean> {
  yield { begin: "file", optional: false };
  if (!existsSync(path)) {
    yield notThere(path);
    yield* diagnoseFolder(nearestFolder(dirname(resolve(path))), 0);
    return false;
  }
  const file = look(path);
  yield file;
  return file.level !== "fail";
}

function notThere(path: string): Finding {
  return warning(
    "file",
    `there is no ${path} yet`,
    "if it should be there, look at the path and at the working folder; if not, the server creates it",
  );
}

export function notAFile(path: string): Finding {
  return fail("file", `${path} is no file`, "give the path of a database file with --db-file");
}

/** @param paths of the database and of the files beside it. @param mode of new files. */
export function diagnoseMode(paths: readonly string[], mode: string): Finding {
  const subject = "file mode";
  const wide = findWideFiles(paths, mode);
  if (wide === null) return ok(subject, `no wider than ${mode}`);
  return warning(subject, `others may use ${wide.found}`, wide.remedy);
}

export function emptyFile(path: string): Finding {
  return ok("file", `${path} is empty, a database without tables`);
}

/** @param error of the file system; any other is thrown. */
export function noAccess(path: string, error: unknown): Finding {
  if (!(error instanceof Error && "code" in error)) throw error;
  return fail(
    "file",
    `${path} can't be read and written: ${error.code}`,
    "run the server as the file's owner, or change its owner and mode; EROFS: the disk is mounted read-only",
  );
}

/** Fewer characters where the file ends. @param flags "r+" where it has to be writable. */
export function readBytes(path: string, flags: "r" | "r+", from: number, length: number): string {
  const fd = openSync(path, flags);
  try {
    const bytes = Buffer.alloc(length);
    return bytes.toString("latin1", 0, readSync(fd, bytes, 0, length, from));
  } finally {
    closeSync(fd);
  }
}

/** States that every engine's tables may have. */
export type PlainSchemaState =
  | { state: "current" | "empty" }
  | { state: "newer"; version: number }
  | { state: "unusable"; reason: string };

/** @param known This server makes this version of the schema. */
export function describePlainSchema(schema: PlainSchemaState, known: number): Finding {
  const subject = "schema";
  switch (schema.state) {
    case "current":
      return ok(subject, `version ${known}, the one of this server`);
    case "empty":
      return ok(subject, "no tables yet; the server creates them when it starts");
    case "newer":
      return fail(
        subject,
        `version ${schema.version}, written by a newer server; this one knows up to ${known}`,
        "serve it with the newer server",
      );
    case "unusable":
      return fail(
        subject,
        schema.reason,
        "the server won't start on it: put back a copy of the file, or rename that table",
      );
  }
}

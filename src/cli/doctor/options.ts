/** The command line of `doctor`. */
import { DECLARATIONS, environmentName } from "../../config/setting-table.ts";
import { readValue } from "../../config/settings.ts";
import { checkReplicas, describeDatabase } from "../../storage/engines.ts";
import { parseFlags, readCount } from "../flags.ts";

export interface DoctorOptions {
  /** As given, perhaps with a password. */
  dbFile: string;
  /** As given. */
  replicas: string[];
  /** As given. Null: no bus. */
  bus: string | null;
  timeoutS: number;
  json: boolean;
  /** Begin a new epoch, and do nothing else. */
  newEpoch: boolean;
}

const DEFAULT_TIMEOUT_S = 30;
const TIMEOUT_MAX_S = 86_400;

export const DOCTOR_HELP = `Usage: stock-db-server doctor [--db-file PATH|URL] [options]

Looks at a database and at this machine, says whether the server can run with them, and what to do where it can't.
It changes nothing, but with --new-epoch.

  --db-file PATH|URL  as serve's (default: ${environmentName("dbFile")}, else ${DECLARATIONS.dbFile.default})
  --bus URL           as serve's (default: ${environmentName("bus")}): whether a message gets there and back
  --read-replicas URL[,URL]
                      as serve's (default: ${environmentName("readReplicas")})
  --timeout SECONDS   what the database may take in all, 1 to ${TIMEOUT_MAX_S} (default ${DEFAULT_TIMEOUT_S})
  --json              print one JSON object instead of lines
  --new-epoch         instead: positions begin anew, so that clients that come back get a snapshot; for a SQLite or
                      DuckDB file that was put back from a backup, while no server has it
  --help

Exit codes: 0 the server can run, 1 something FAILED, 2 wrong usage.
`;

const FLAGS = {
  "db-file": { type: "string" },
  bus: { type: "string" },
  "read-replicas": { type: "string" },
  timeout: { type: "string" },
  json: { type: "boolean" },
  "new-epoch": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null when help was asked for. @throws UsageError */
export function parseDoctorOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): DoctorOptions | null {
  const { values } = parseFlags("doctor", argv, FLAGS);
  if (values.help) return null;
  const read = <K extends "dbFile" | "bus" | "readReplicas">(name: K, given: string | undefined) => {
    const text = given ?? (env[environmentName(name)] || undefined);
    const source = given === undefined ? environmentName(name) : `doctor: ${DECLARATIONS[name].flag}`;
    return { source, value: text === undefined ? null : readValue(name, text, source) };
  };
  const { value, source } = read("dbFile", values["db-file"]);
  const dbFile = value ?? DECLARATIONS.dbFile.default;
  describeDatabase(dbFile, source);
  const bus = read("bus", values.bus).value;
  const replicas = read("readReplicas", values["read-replicas"]).value ?? [];
  checkReplicas({ dbFile, readReplicas: replicas });
  const timeoutS =
    readCount("doctor: --timeout", values.timeout, TIMEOUT_MAX_S, "whole seconds") ?? DEFAULT_TIMEOUT_S;
  const { json = false, "new-epoch": newEpoch = false } = values;
  return { dbFile, replicas, bus, timeoutS, json, newEpoch };
}

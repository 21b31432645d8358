/**
 * Says what to do about a database that can't be opened, for a server that starts and for `doctor`.
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { failureOf, NoPrimaryError } from "./errors.ts";
import { UnsuitableDatabaseError } from "./requirements.ts";

export interface OpeningAdvice {
  finding: string;
  advice: string;
}

const NO_PRIVILEGE = "42501";
const NO_SCHEMA = "3F000";
const NO_DATABASE = "3D000";
const OUT_OF_CONNECTIONS = "53300";

/** @returns null for an error that isn't the database's. */
export async function adviceOnOpening(error: unknown, dbFile: string): Promise<OpeningAdvice | null> {
  if (error instanceof UnsuitableDatabaseError) return error;
  const failure = failureOf(error);
  if (failure === null) return null;
  const { code, message, kind } = failure;
  const { hosts, user } = parsePostgresUrl(dbFile);
  const finding = `${message} (${code})`;
  if (code.startsWith("28"))
    return { finding, advice: "look at user and password in the URL, and at pg_hba.conf" };
  switch (code) {
    case NO_DATABASE:
      return { finding, advice: "create the database, or look at its name in the URL" };
    case OUT_OF_CONNECTIONS:
      return {
        finding,
        advice: "raise max_connections, or give the servers fewer workers or a smaller --db-pool-size",
      };
    case NO_PRIVILEGE:
      return { finding, advice: grantFor(message, user) };
    case NO_SCHEMA:
      return {
        finding,
        advice: `CREATE SCHEMA the one of the search_path and GRANT CREATE, USAGE on it to ${user}, or name another with ?search_path=`,
      };
  }
  if (kind !== "away" && kind !== "lost") return { finding, advice: "look at the log of the database" };
  if (error instanceof NoPrimaryError)
    return { finding, advice: "look which of the hosts is the primary, and whether one is" };
  for (const { host } of hosts)
    if (await isUnknownHost(host)) {
      return {
        finding: `there is no host named ${host}`,
        advice: "look at the host in the URL, and at the DNS of this machine",
      };
    }
  return {
    finding,
    advice:
      "look at host and port, at whether it runs, listens there (listen_addresses), and at firewalls and sslmode",
  };
}

function grantFor(message: string, user: string): string {
  const schema = /schema "?([^\s"]+)/.exec(message)?.[1];
  if (schema !== undefined) return `GRANT CREATE, USAGE ON SCHEMA ${schema} TO ${user}`;
  return `GRANT SELECT, INSERT, UPDATE, DELETE on the server's tables to ${user}, or let it own them`;
}

async function isUnknownHost(host: string): Promise<boolean> {
  if (host.startsWith("/")) return false;
  try {
    await Bun.dns.lookup(host);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === "DNS_ENOTFOUND";
  }
}

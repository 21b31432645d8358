import { redact } from "../config/redact.ts";
import { quoted, UsageError } from "../config/usage-error.ts";

export interface BrokerAddress {
  broker: "nats" | "redis";
  tls: boolean;
  /** host or host:port. NATS may have several: the servers of a cluster. */
  servers: string[];
  user: string | null;
  password: string | null;
  /** NATS takes a user name without a password as a token. */
  token: string | null;
  /** The number of Redis' database. Messages ignore it, but it must exist. */
  path: string;
  /** Safe to log: no user, no password. */
  shown: string;
}

const EXPECTED = "expected nats://HOST[:PORT], redis://HOST[:PORT] or postgres";

/** @throws UsageError */
export function parseBrokerUrl(url: string): BrokerAddress {
  const fail = (reason: string): UsageError => new UsageError(`--bus: ${reason}, got ${quoted(redact(url))}`);
  const [, scheme, rest] = /^(nats|tls|redis|rediss):\/\/(.+)$/is.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) throw fail(EXPECTED);
  const kind = scheme.toLowerCase();
  const broker = kind.startsWith("redis") ? "redis" : "nats";
  // A password that isn't percent-encoded may hold an "@" or a "/".
  const at = rest.lastIndexOf("@");
  const [, hosts, path] = /^([^/?#]+)(?:\/([^?#]*))?$/.exec(rest.slice(at + 1)) ?? [];
  if (hosts === undefined) throw fail(EXPECTED);
  const servers = hosts.split(",");
  if (servers.length > 1 && broker === "redis") throw fail("expected one host");
  for (const server of servers) if (!URL.canParse(`tcp://${server}`)) throw fail(EXPECTED);
  if (broker === "redis" ? !/^\d*$/.test(path ?? "") : (path ?? "") !== "") throw fail(EXPECTED);
  const [user, password] = readUserInfo(at < 0 ? "" : rest.slice(0, at), fail);
  const isToken = broker === "nats" && password === null;
  return {
    broker,
    tls: kind === "tls" || kind === "rediss",
    servers,
    user: isToken ? null : user,
    password,
    token: isToken ? user : null,
    path: path ?? "",
    shown: `${kind}://${hosts}`,
  };
}

function readUserInfo(
  userInfo: string,
  fail: (reason: string) => UsageError,
): [user: string | null, password: string | null] {
  const colon = userInfo.indexOf(":");
  const user = colon < 0 ? userInfo : userInfo.slice(0, colon);
  try {
    return [
      decodeURIComponent(user) || null,
      colon < 0 ? null : decodeURIComponent(userInfo.slice(colon + 1)),
    ];
  } catch (error) {
    if (error instanceof URIError) throw fail('expected "%" only in front of two hexadecimal digits');
    throw error;
  }
}

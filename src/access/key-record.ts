/** Keys as the file of keys has them, and how a client's text is turned into what it keeps. */
import { randomBytes } from "node:crypto";
import { BlockList, isIP } from "node:net";
import { matcherOf } from "../market/ticker-pattern.ts";
import { readByteRate, readRate } from "./rate-board.ts";
import { isScope, SCOPES, type Scope } from "./scopes.ts";

/** So that a key that lies about is recognised, by people and by scanners. */
const KEY_PREFIX = "sdb_";
const KEY_BYTES = 32;
/** What a key looks like: no text of another form is looked up. */
const KEY = /^sdb_[A-Za-z0-9_-]{43}$/;
const NAME = /^[\w.@-]{1,64}$/;
const PATTERN_LENGTH_MAX = 200;
export const KEY_SOCKETS_MAX = 1_000_000;
const HASH = /^[0-9a-f]{64}$/;

/** A key; of its secret only the hash. Instants are ISO texts in UTC. */
export interface KeyRecord {
  name: string;
  /** SHA-256 of the whole key, in hexadecimal digits. */
  hash: string;
  may: Scope[];
  /** Patterns of tickers that it is for; null: all. */
  tickers: string[] | null;
  /** `200/s`; null: there is no bound of its own. */
  rate: string | null;
  /** Rows that it may read and write, `1M/min`; null: there is no bound of its own. */
  rows: string | null;
  /** Bytes that it may send and receive, `500MB/min`; null: there is no bound of its own. */
  bytes: string | null;
  /** WebSockets and streams of events that it may have open; null: as many as its addresses may. */
  sockets: number | null;
  /** Null: it holds until it is revoked. */
  expires: string | null;
  /** Networks and addresses that may use it; null: all. */
  from: string[] | null;
  created: string;
}

/** A key file, or one of its keys, is not what it should be. */
export class KeyError extends Error {
  override name = "KeyError";
}

/** @returns the text for the client, which is kept nowhere. */
export function newKey(): string {
  return KEY_PREFIX + randomBytes(KEY_BYTES).toString("base64url");
}

/** Null: no key of ours has this form. */
export function hashOf(key: string): string | null {
  return KEY.test(key) ? Bun.CryptoHasher.hash("sha256", key, "hex") : null;
}

export function isKeyName(text: string): boolean {
  return NAME.test(text);
}

/** @param where names the record, for the message. @throws KeyError */
export function readRecord(value: unknown, where: string): KeyRecord {
  if (typeof value !== "object" || value === null) throw new KeyError(`${where}: expected an object`);
  const {
    name,
    hash,
    may,
    tickers = null,
    rate = null,
    rows = null,
    bytes = null,
    sockets = null,
    expires,
    from,
    created,
  } = value as Record<string, unknown>;
  const wrong = (member: string, expected: string): KeyError =>
    new KeyError(`${where}: ${member}: expected ${expected}`);
  if (typeof name !== "string" || !isKeyName(name)) throw wrong("name", "a name");
  if (typeof hash !== "string" || !HASH.test(hash)) throw wrong("hash", "64 hexadecimal digits");
  if (!Array.isArray(may) || may.length === 0 || !may.every(isScope))
    throw wrong("may", `a list of ${SCOPES.join(", ")}`);
  if (tickers !== null && !(Array.isArray(tickers) && tickers.length > 0 && tickers.every(isPattern)))
    throw wrong("tickers", "a list of tickers and patterns such as OPT_*, or null");
  if (tickers !== null && !may.every(goesWithTickers))
    throw wrong("tickers", "null, as sql and admin are of all tickers");
  if (rate !== null && (typeof rate !== "string" || readRate(rate) === null))
    throw wrong("rate", "a rate such as 200/s, or null");
  if (rows !== null && (typeof rows !== "string" || readRate(rows) === null))
    throw wrong("rows", "a rate such as 1M/min, or null");
  if (bytes !== null && (typeof bytes !== "string" || readByteRate(bytes) === null))
    throw wrong("bytes", "a rate such as 500MB/min, or null");
  if (sockets !== null && !isSocketCount(sockets))
    throw wrong("sockets", `a whole number from 1 to ${KEY_SOCKETS_MAX}, or null`);
  if (expires !== null && !isInstant(expires)) throw wrong("expires", "an instant in UTC, or null");
  if (!isInstant(created)) throw wrong("created", "an instant in UTC");
  if (from !== null && !(Array.isArray(from) && from.length > 0 && from.every(isNetwork)))
    throw wrong("from", "a list of addresses and networks such as 10.0.0.0/8, or null");
  return { name, hash, may, tickers, rate, rows, bytes, sockets, expires, from, created };
}

export function isSocketCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= KEY_SOCKETS_MAX;
}

/** SQL reads every table. */
export function goesWithTickers(scope: Scope): boolean {
  return scope !== "sql" && scope !== "sql:write" && scope !== "admin";
}

/** A ticker, or one in which `*` stands for any characters. */
export function isPattern(text: unknown): text is string {
  return typeof text === "string" && text !== "" && text.length <= PATTERN_LENGTH_MAX;
}

/** @param patterns of `isPattern`. */
export function seesOneOf(patterns: readonly string[]): (ticker: string) => boolean {
  const matchers = patterns.map(matcherOf);
  return (ticker) => matchers.some((matches) => matches(ticker));
}

function isInstant(value: unknown): value is string {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value)
    ? Number.isFinite(Date.parse(value))
    : false;
}

/** `10.0.0.0/8`, `192.168.1.7`, `fd00::/8`. */
export function isNetwork(text: unknown): text is string {
  if (typeof text !== "string") return false;
  const [address = "", bits, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** @param networks of `isNetwork`. */
export function networksOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split("/") as [string, string?];
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

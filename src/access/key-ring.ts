/**
 * The keys that a worker knows, and whether a client has one of them. The file is looked at again
 * and again, so that what is added or revoked is in force within a second.
 */
import { existsSync, statSync, writeFileSync } from "node:fs";
import { type BlockList, isIP, isIPv6 } from "node:net";
import { unauthorized } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { readKeyFile } from "./key-file.ts";
import { hashOf, KeyError, type KeyRecord, networksOf, seesOneOf } from "./key-record.ts";
import { type Rate, readByteRate, readRate } from "./rate-board.ts";
import { type Scope, wholeScopes } from "./scopes.ts";

const LOOK_MS = 500;

/** Who sends a request. */
export interface Caller {
  /** Of its key; "-" where none is needed. */
  name: string;
  may: ReadonlySet<Scope>;
  /** Whether a ticker is one of its key's; null: all are. */
  sees: ((ticker: string) => boolean) | null;
  /** Of its requests. Null: it has no bound of its own. */
  rate: Rate | null;
  /** Of the rows that it reads and writes. */
  rows: Rate | null;
  /** Of the bytes that it sends and receives. */
  bytes: Rate | null;
  /** Of its WebSockets and streams of events that are open. */
  socketsMax: number | null;
  /** When its key or token ends, in ms since 1970; infinite: it doesn't. */
  endsAt: number;
  /** Whether another has issued what it has sent: see token-ring.ts. */
  isToken: boolean;
  /** Of its key or token; null where none is needed. */
  hash: string | null;
  /** Changes with what its key lets it do; of no other use. */
  rights: string;
}

interface HeldKey extends Caller {
  from: BlockList | null;
}

/** Of those that stay, as those of WebSockets do: whether their key is still valid. */
export type StillAdmits = (client: Caller) => boolean;

interface KeyRingOptions {
  /** Null: there are none. */
  path: string | null;
  /**
   * A file that is made once there are keys: a worker that starts after their file is gone lets
   * nobody in. Null: there are no other workers.
   */
  mark: string | null;
  /** Called with the names of keys that have come and gone. */
  onChanged?(added: string[], gone: string[]): void;
  log: { info(text: string): void; error(text: string): void };
}

export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #timer: Timer | null = null;
  /** Null: there is no file, and has been none. Everybody may do everything. */
  #keys: Map<string, HeldKey> | null = null;
  /** The state of the file that is in force; null: none is. */
  #seen: string | null = null;
  /** What was wrong with the file, so that it is told once. */
  #told = "";

  constructor(options: KeyRingOptions) {
    this.#options = options;
    if (options.path === null) return;
    if (options.mark !== null && existsSync(options.mark)) this.#keys = new Map();
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  get isEnforced(): boolean {
    return this.#keys !== null;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /**
   * @param key null: none was sent.
   * @param from asked for its address only where that matters, as Bun takes long to tell it.
   * @throws RequestError 401
   */
  identify(key: string | null, from: { readonly address: string }): Caller {
    if (this.#keys === null) return EVERYBODY;
    if (key === null) throw unauthorized("expected a key, such as Authorization: Bearer sdb_…");
    const hash = hashOf(key);
    // Looked up by its hash, which nobody can steer: how long it takes tells nothing of the keys.
    const held = hash === null ? undefined : this.#keys.get(hash);
    if (held === undefined) throw unauthorized("the key is not known");
    if (Date.now() >= held.endsAt) throw unauthorized(`the key ${held.name} has expired`);
    if (held.from !== null) checkFrom(held.name, held.from, from.address);
    return held;
  }

  readonly stillAdmits: StillAdmits = (client) => {
    if (this.#keys === null) return true;
    const held = client.hash === null ? undefined : this.#keys.get(client.hash);
    return held !== undefined && Date.now() < held.endsAt && held.rights === client.rights;
  };

  #tellChange(keys: Map<string, HeldKey> | null): void {
    const before = this.#keys ?? new Map<string, HeldKey>();
    const now = keys ?? new Map<string, HeldKey>();
    const only = (some: Map<string, HeldKey>, others: Map<string, HeldKey>): string[] =>
      [...some].filter(([hash]) => !others.has(hash)).map(([, { name }]) => name);
    this.#options.onChanged?.(only(now, before), only(before, now));
  }

  /** What can't be read is tried again: a failure must let nobody in, nor keep anybody in. */
  #look(): void {
    const { log, mark } = this.#options;
    const path = this.#options.path!;
    const seen = stateOf(path);
    if (seen === this.#seen) return;
    try {
      const keys = heldKeys(readKeyFile(path));
      if (keys === null && this.#keys === null) {
        this.#seen = seen;
        return;
      }
      if (keys === null) this.#tell(`${path} is gone: no key is valid any more`);
      else if (mark !== null) writeFileSync(mark, "");
      if (keys !== null && this.#seen !== null) log.info(`${path}: keys in force: ${keys.size}`);
      if (this.#seen !== null) this.#tellChange(keys);
      // Who removes the file wants nobody in, rather than everybody.
      this.#keys = keys ?? new Map();
      this.#seen = seen;
      if (keys !== null) this.#told = "";
    } catch (error) {
      this.#keys ??= new Map();
      const before = this.#keys.size === 0 ? "no key is valid" : "the keys from before stay in force";
      this.#tell(`${error instanceof KeyError ? error.message : messageOf(error)}; ${before}`);
    }
  }

  #tell(problem: string): void {
    if (problem === this.#told) return;
    this.#told = problem;
    this.#options.log.error(problem);
  }
}

/** Where there are no keys. */
export const EVERYBODY: Caller = {
  name: "-",
  may: wholeScopes(["admin"]),
  sees: null,
  rate: null,
  rows: null,
  bytes: null,
  socketsMax: null,
  endsAt: Number.POSITIVE_INFINITY,
  isToken: false,
  hash: null,
  rights: "",
};

function heldKeys(records: KeyRecord[] | null): Map<string, HeldKey> | null {
  if (records === null) return null;
  return new Map(
    records.map(({ name, hash, may, tickers, rate, rows, bytes, sockets, expires, from }) => [
      hash,
      {
        name,
        hash,
        isToken: false,
        rights: JSON.stringify([may, tickers, from]),
        may: wholeScopes(may),
        rate: rate === null ? null : readRate(rate),
        rows: rows === null ? null : readRate(rows),
        bytes: bytes === null ? null : readByteRate(bytes),
        socketsMax: sockets,
        sees: tickers === null ? null : seesOneOf(tickers),
        endsAt: expires === null ? Number.POSITIVE_INFINITY : Date.parse(expires),
        from: from === null ? null : networksOf(from),
      },
    ]),
  );
}

/** @throws RequestError 401 */
function checkFrom(name: string, networks: BlockList, address: string): void {
  // Who comes by a Unix socket has none.
  const isAddress = isIP(plainAddress(address)) !== 0;
  if (!isAddress || !networks.check(plainAddress(address), familyOf(address)))
    throw unauthorized(`the key ${name} may not be used from ${address}`);
}

/** Changes with the file. */
function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "";
  }
}

/** An IPv4 client of an IPv6 socket. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv6(plainAddress(address)) ? "ipv6" : "ipv4";
}

/**
 * Counts the WebSockets and streams of each client address, and of each key that has a bound of its
 * own, live ones and replays together: in this worker and, through the hub, in all.
 */
import { answeredProtocol } from "../access/credentials.ts";
import type { Caller } from "../access/key-ring.ts";
import { tooMany } from "../protocol/errors.ts";

export interface SocketPlacesOptions {
  /** Whether the holder may have one more of `max` in all workers; it then counts until `left`. */
  admit(holder: string, max: number): Promise<boolean>;
  left(holder: string): void;
  socketsPerAddressMax: number;
}

/** Who has a place. */
export interface Holder {
  address: string;
  /** Null: it hasn't said so yet. */
  owner: Caller | null;
}

/** The part of Bun's server that is needed here. */
interface Upgrader<Data> {
  upgrade(request: Request, options: { data: Data; headers?: Record<string, string> }): boolean;
}

export class SocketPlaces {
  readonly #options: SocketPlacesOptions;
  readonly #counts = new Map<string, number>();

  constructor(options: SocketPlacesOptions) {
    this.#options = options;
  }

  /** Sockets of this worker, including those still being admitted. */
  get counts(): Iterable<[holder: string, sockets: number]> {
    return this.#counts;
  }

  /**
   * Counts one more, until `leave`.
   *
   * @param path named in the refusal.
   * @throws RequestError 429 the address or the key has too many; then it isn't counted.
   */
  async enter({ address, owner }: Holder, path: string): Promise<void> {
    const max = this.#options.socketsPerAddressMax;
    if (!(await this.#admit(address, max)))
      throw tooMany(
        `${path}: ${address} has ${max} WebSockets already, expected no more (--ws-connections-per-address)`,
      );
    if (owner === null || owner.socketsMax === null) return;
    try {
      await this.enterKey(owner, path);
    } catch (error) {
      this.#leave(address);
      throw error;
    }
  }

  /**
   * Of one that has entered before it said who it is.
   *
   * @throws RequestError 429 the key has too many.
   */
  async enterKey(owner: Caller, path: string): Promise<void> {
    const { name, socketsMax } = owner;
    if (socketsMax === null || (await this.#admit(keyHolder(owner), socketsMax))) return;
    throw tooMany(
      `${path}: the key ${name} has ${socketsMax} WebSockets and streams open already, expected no more`,
    );
  }

  /** Makes a WebSocket of the request; otherwise leaves the place. */
  upgrade<Data extends Holder & { isCounted?: boolean }>(
    request: Request,
    server: Upgrader<Data>,
    data: Data,
  ): boolean {
    const upgraded = upgradeAs(request, server, data);
    if (!upgraded && data.isCounted !== false) this.leave(data);
    return upgraded;
  }

  leave({ address, owner }: Holder): void {
    this.#leave(address);
    if (owner !== null) this.leaveKey(owner);
  }

  leaveKey(owner: Caller): void {
    if (owner.socketsMax !== null) this.#leave(keyHolder(owner));
  }

  async #admit(holder: string, max: number): Promise<boolean> {
    if (!(await this.#options.admit(holder, max))) return false;
    this.#counts.set(holder, (this.#counts.get(holder) ?? 0) + 1);
    return true;
  }

  #leave(holder: string): void {
    const left = (this.#counts.get(holder) ?? 0) - 1;
    if (left > 0) this.#counts.set(holder, left);
    else this.#counts.delete(holder);
    this.#options.left(holder);
  }
}

/** Makes a WebSocket of the request, whether it has a place or not. */
export function upgradeAs<Data>(request: Request, server: Upgrader<Data>, data: Data): boolean {
  const protocol = answeredProtocol(request.headers);
  // Bun would select the first subprotocol that a client offers, which may be its key.
  request.headers.delete("sec-websocket-protocol");
  const headers = protocol === null ? {} : { headers: { "Sec-WebSocket-Protocol": protocol } };
  return server.upgrade(request, { data, ...headers });
}

/** No address looks like this. */
function keyHolder({ hash }: Caller): string {
  return `key ${hash}`;
}

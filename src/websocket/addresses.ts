/**
 * Counts the WebSockets of each client address, live ones and replays together: in this worker and,
 * through the hub, in all.
 */
import { answeredProtocol } from "../access/credentials.ts";
import { tooMany } from "../protocol/errors.ts";

export interface AddressesOptions {
  /** Whether the address may have one more in all workers; it then counts until `left`. */
  admit(address: string): Promise<boolean>;
  left(address: string): void;
  socketsPerAddressMax: number;
}

/** The part of Bun's server that is needed here. */
interface Upgrader<Data> {
  upgrade(request: Request, options: { data: Data; headers?: Record<string, string> }): boolean;
}

export class Addresses {
  readonly #options: AddressesOptions;
  readonly #counts = new Map<string, number>();

  constructor(options: AddressesOptions) {
    this.#options = options;
  }

  /** Sockets of this worker, including those still being admitted. */
  get counts(): Iterable<[address: string, sockets: number]> {
    return this.#counts;
  }

  /**
   * Counts one more, until `leave`.
   *
   * @param path named in the refusal.
   * @throws RequestError 429 the address has too many; then it isn't counted.
   */
  async enter(address: string, path: string): Promise<void> {
    const { admit, socketsPerAddressMax } = this.#options;
    if (!(await admit(address))) {
      throw tooMany(
        `${path}: ${address} has ${socketsPerAddressMax} WebSockets already, expected no more (--ws-connections-per-address)`,
      );
    }
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
  }

  /** Makes a WebSocket of the request; otherwise leaves the address. */
  upgrade<Data extends { address: string; isCounted?: boolean }>(
    request: Request,
    server: Upgrader<Data>,
    data: Data,
  ): boolean {
    const protocol = answeredProtocol(request.headers);
    // Bun would select the first subprotocol that a client offers, which may be its key.
    request.headers.delete("sec-websocket-protocol");
    const headers = protocol === null ? {} : { headers: { "Sec-WebSocket-Protocol": protocol } };
    const upgraded = server.upgrade(request, { data, ...headers });
    if (!upgraded && data.isCounted !== false) this.leave(data.address);
    return upgraded;
  }

  leave(address: string): void {
    const left = (this.#counts.get(address) ?? 0) - 1;
    if (left > 0) this.#counts.set(address, left);
    else this.#counts.delete(address);
    this.#options.left(address);
  }
}

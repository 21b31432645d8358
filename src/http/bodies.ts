/**
 * Bounds the bodies of a worker's requests, for all and by client address, from the first byte
 * until the command is done. Bun receives bodies before they are read, so none can wait: excess is
 * refused.
 */
import { tooMany, unavailable } from "../protocol/errors.ts";

/** Bodies up to this size always fit; they don't fill the memory. */
const SMALL_BYTES = 16 * 1024;

export interface BodiesOptions {
  bytesMax: number;
  bytesPerAddressMax: number;
}

export class Bodies {
  readonly #options: BodiesOptions;
  readonly #ofAddress = new Map<string, number>();
  #bytes = 0;
  /** Bodies that are still arriving. */
  waiting = 0;

  constructor(options: BodiesOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param client Its address is read once the body isn't small any more. */
  share(client: { readonly address: string }): BodyShare {
    return new BodyShare(this, client);
  }

  /** For BodyShare. @param address null for a small body, which counts for no client. */
  take(bytes: number, address: string | null, moreOfAddress: number): void {
    if (address !== null) {
      this.#check(address, bytes, moreOfAddress);
      this.#count(address, moreOfAddress);
    }
    this.#bytes += bytes;
  }

  give(bytes: number, address: string | null): void {
    this.#bytes -= bytes;
    if (address !== null) this.#count(address, -bytes);
  }

  #check(address: string, more: number, moreOfAddress: number): void {
    const { bytesMax, bytesPerAddressMax } = this.#options;
    if (this.#bytes + more > bytesMax)
      throw unavailable(
        `body: the bodies of all requests under way take ${this.#bytes} bytes, expected at most ${bytesMax} with this one; try again`,
      );
    const ofAddress = this.#ofAddress.get(address) ?? 0;
    if (ofAddress + moreOfAddress > bytesPerAddressMax)
      throw tooMany(
        `body: those of the requests under way from ${address} take ${ofAddress} bytes, expected at most ${bytesPerAddressMax} with this one; try again`,
      );
  }

  #count(address: string, bytes: number): void {
    const left = (this.#ofAddress.get(address) ?? 0) + bytes;
    if (left > 0) this.#ofAddress.set(address, left);
    else this.#ofAddress.delete(address);
  }
}

/** The share of one body. */
export class BodyShare {
  readonly #bodies: Bodies;
  readonly #client: { readonly address: string };
  #bytes = 0;
  #address: string | null = null;

  constructor(bodies: Bodies, client: { readonly address: string }) {
    this.#bodies = bodies;
    this.#client = client;
  }

  /** @throws RequestError 503 there is no room for `more` bytes, 429 the address has too many. */
  add(more: number): void {
    const wasSmall = this.#address === null;
    const isSmall = wasSmall && this.#bytes + more <= SMALL_BYTES;
    const address = isSmall ? null : (this.#address ?? this.#client.address);
    // The bytes of its small time now count for its address too.
    this.#bodies.take(more, address, wasSmall ? this.#bytes + more : more);
    this.#address = address;
    this.#bytes += more;
  }

  /** Call this when the command is done. */
  release(): void {
    this.#bodies.give(this.#bytes, this.#address);
  }
}

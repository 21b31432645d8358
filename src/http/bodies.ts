/**
 * What the bodies of requests take in a worker, from their first byte until their command is done:
 * bounded for all, and for each client address. Bun takes a body in while nobody reads it, so none
 * can wait: what doesn't fit is refused.
 */
import { STATUS } from "../protocol/codes.ts";
import { RequestError, unavailable } from "../protocol/errors.ts";

/** A body up to this always fits: it isn't such ones that fill it. */
const SMALL_BYTES = 16 * 1024;
const RETRY_AFTER_S = 1;

export interface BodiesOptions {
  bytesMax: number;
  bytesPerAddressMax: number;
}

export class Bodies {
  readonly #options: BodiesOptions;
  readonly #ofAddress = new Map<string, number>();
  #bytes = 0;
  /** Bodies whose end has not come yet. */
  waiting = 0;

  constructor(options: BodiesOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param client whose address is asked for when the body isn't small any more. */
  share(client: { readonly address: string }): BodyShare {
    return new BodyShare(this, client);
  }

  /** For BodyShare. @param address null: of a small body, which counts for nobody. */
  take(bytes: number, address: string | null, moreOfAddress: number): void {
    if (address !== null) {
      this.#check(address, bytes, moreOfAddress);
      this.#count(address, moreOfAddress);
    }
    this.#bytes += bytes;
  }

  /** For BodyShare. */
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
      throw new RequestError(
        STATUS.tooMany,
        `body: those of the requests under way from ${address} take ${ofAddress} bytes, expected at most ${bytesPerAddressMax} with this one; try again`,
        { retryAfterS: RETRY_AFTER_S },
      );
  }

  #count(address: string, bytes: number): void {
    const left = (this.#ofAddress.get(address) ?? 0) + bytes;
    if (left > 0) this.#ofAddress.set(address, left);
    else this.#ofAddress.delete(address);
  }
}

/** Of one body. */
export class BodyShare {
  readonly #bodies: Bodies;
  readonly #client: { readonly address: string };
  #bytes = 0;
  /** Null while it is small. */
  #address: string | null = null;

  constructor(bodies: Bodies, client: { readonly address: string }) {
    this.#bodies = bodies;
    this.#client = client;
  }

  /**
   * So many bytes more of it are coming, or have come.
   *
   * @throws RequestError 503 there is no room for them, 429 the address has too much.
   */
  add(more: number): void {
    const wasSmall = this.#address === null;
    const isSmall = wasSmall && this.#bytes + more <= SMALL_BYTES;
    const address = isSmall ? null : (this.#address ?? this.#client.address);
    // What it had while it was small counts for its address from now on.
    this.#bodies.take(more, address, wasSmall ? this.#bytes + more : more);
    this.#address = address;
    this.#bytes += more;
  }

  /** Its command is done. */
  release(): void {
    this.#bodies.give(this.#bytes, this.#address);
  }
}

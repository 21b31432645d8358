/**
 * What the bodies of requests take in a worker, from their first byte until their command is done:
 * bounded for all, and for each client address. Bun takes a body in while nobody reads it, so none
 * can wait: what doesn't fit is refused.
 */
import { RequestError, unavailable } from "../protocol/errors.ts";

/** A body up to this always fits: it isn't such ones that fill it. */
const SMALL_BYTES = 16 * 1024;
const RETRY_AFTER_S = 1;

export interface BodiesOptions {
  bytesMax: number;
  bytesPerAddressMax: number;
}

/** Of one body. Disposed of when its command is done. */
export interface BodyShare extends Disposable {
  /**
   * So many bytes more of it are coming, or have come.
   *
   * @throws RequestError 503 there is no room for them, 429 the address has too much.
   */
  add(bytes: number): void;
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

  share(addressOf: () => string): BodyShare {
    let bytes = 0;
    /** Null while it is small. */
    let address: string | null = null;
    return {
      add: (more) => {
        if (bytes + more > SMALL_BYTES) {
          const own = address ?? addressOf();
          // What it had while it was small counts for its address from now on.
          this.#check(own, more, address === null ? bytes + more : more);
          this.#count(own, address === null ? bytes + more : more);
          address = own;
        }
        bytes += more;
        this.#bytes += more;
      },
      [Symbol.dispose]: () => {
        this.#bytes -= bytes;
        if (address !== null) this.#count(address, -bytes);
      },
    };
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
        429,
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

/**
 * Who a request comes from, where proxies stand in front: what they say of it counts only if the
 * peer of the connection is one of them.
 */
import type { BlockList } from "node:net";
import { isIP, isIPv6 } from "node:net";
import { networksOf } from "../access/key-record.ts";
import { UNIX_PEER } from "../config/setting-types.ts";

export class TrustedProxies {
  /** Null: none is trusted. */
  readonly #proxies: BlockList | null;
  readonly #trustsUnix: boolean;

  /** @param proxies of `--trust-proxy`. */
  constructor(proxies: readonly string[]) {
    this.#trustsUnix = proxies.includes(UNIX_PEER);
    this.#proxies = proxies.length === 0 ? null : networksOf(proxies.filter((proxy) => proxy !== UNIX_PEER));
  }

  /**
   * Each proxy adds the address of its peer behind the others, so what stands behind the last
   * address that is no proxy's was written by those that are trusted. What stands before it anybody
   * may have written.
   */
  addressOf(peer: string, headers: Headers): string {
    if (this.#proxies === null || !this.#isTrusted(peer)) return peer;
    const named = (headers.get("x-forwarded-for") ?? "").split(",").map(withoutPort);
    let address = peer;
    for (const before of named.reverse()) {
      // What a proxy calls `unix` is its own peer, not ours.
      if (isIP(before) === 0) break;
      address = before;
      if (!this.#isTrusted(before)) break;
    }
    return address;
  }

  /**
   * The name by which the client has called the server. What a proxy passes on as its own may be a
   * page's: so the name by which the proxy calls the server has to be one of its names, too.
   */
  hostOf(client: { readonly peer: string }, headers: Headers): string | null {
    const own = headers.get("host");
    if (this.#proxies === null) return own;
    const forwarded = headers.get("x-forwarded-host");
    return forwarded !== null && this.#isTrusted(client.peer) ? forwarded.split(",").at(-1)!.trim() : own;
  }

  /** The name by which whoever has connected calls the server; undefined: no proxy is trusted. */
  hostOfPeer(headers: Headers): string | null | undefined {
    return this.#proxies === null ? undefined : headers.get("host");
  }

  #isTrusted(address: string): boolean {
    if (address === UNIX_PEER) return this.#trustsUnix;
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
    if (isIP(plain) === 0) return false;
    return this.#proxies!.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
  }
}

/** `10.0.0.7:5312`, `[::1]:80`; some proxies write the port too. */
function withoutPort(text: string): string {
  const trimmed = text.trim();
  return (
    /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  );
}

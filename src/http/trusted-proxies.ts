/**
 * Who a request comes from, where proxies stand in front: what they say of it counts only if the
 * peer of the connection is one of them.
 */
import type { BlockList } from "node:net";
import { isIP, isIPv6 } from "node:net";
import { networksOf } from "../access/key-record.ts";

export class TrustedProxies {
  /** Null: none is trusted. */
  readonly #proxies: BlockList | null;

  /** @param networks of `--trust-proxy`. */
  constructor(networks: readonly string[]) {
    this.#proxies = networks.length === 0 ? null : networksOf(networks);
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
      if (isIP(before) === 0) break;
      address = before;
      if (!this.#isTrusted(before)) break;
    }
    return address;
  }

  /** The name by which the client has called the server. */
  hostOf(client: { readonly peer: string }, headers: Headers): string | null {
    const own = headers.get("host");
    if (this.#proxies === null) return own;
    const forwarded = headers.get("x-forwarded-host");
    return forwarded !== null && this.#isTrusted(client.peer) ? forwarded.split(",").at(-1)!.trim() : own;
  }

  #isTrusted(address: string): boolean {
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

/**
 * Refuses requests that a foreign web page makes a browser send: the `Host` is the page's own name
 * (DNS rebinding), or `Origin`, `Referer` or `Sec-Fetch-Site` name another site. Otherwise any page
 * could run SQL on a developer's machine.
 */
import { isIP } from "node:net";
import { AllowedOrigins } from "./cross-origin.ts";

/** Cached decisions. At this number the cache is cleared. */
const KEPT_MAX = 1_000;

export class HostGuard {
  readonly #names: Set<string>;
  readonly #kept = new Map<string, boolean>();

  readonly #origins: AllowedOrigins;

  /**
   * @param allowHosts names accepted besides `localhost` and addresses.
   * @param origins of pages that are let in beside those of these names.
   */
  constructor(allowHosts: string[], origins = new AllowedOrigins([])) {
    this.#origins = origins;
    this.#names = new Set(["localhost", ...allowHosts.map((name) => name.toLowerCase())]);
  }

  /** @param host null if an HTTP/1.0 client sent none, which browsers never do. */
  acceptsHost(host: string | null): boolean {
    if (host === null) return true;
    let accepted = this.#kept.get(host);
    if (accepted === undefined) {
      accepted = this.#isAllowed(hostName(host));
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
      this.#kept.set(host, accepted);
    }
    return accepted;
  }

  /** @param origin null from programs that aren't browsers. */
  acceptsOrigin(origin: string | null, host: string | null): boolean {
    if (origin === null || this.#origins.has(origin)) return true;
    let url: URL;
    try {
      url = new URL(origin);
    } catch {
      return false; // "null", of a sandboxed page or a file
    }
    // A Referer is a whole address.
    if (this.#origins.has(url.origin)) return true;
    return url.host === host || (this.#names.has(url.hostname.toLowerCase()) && url.hostname !== "localhost");
  }

  /**
   * Programs send none of these headers, own pages their own origin, and browsers `Sec-Fetch-Site:
   * none` for a typed address. A foreign image or link has no `Origin`, so the others count too.
   * @returns the foreign header, null when there is none.
   */
  foreignHeader(headers: Headers, host: string | null): "Origin" | "Referer" | "Sec-Fetch-Site" | null {
    const origin = headers.get("origin");
    if (!this.acceptsOrigin(origin, host)) return "Origin";
    if (origin !== null && this.#origins.has(origin)) return null;
    const referer = headers.get("referer");
    if (referer !== null && referer !== "" && !this.acceptsOrigin(referer, host)) return "Referer";
    const site = headers.get("sec-fetch-site");
    // A page under a name of --allow-host, or behind a proxy that changes the port.
    const isKnown = origin !== null || (referer !== null && referer !== "");
    return site === null || site === "same-origin" || site === "none" || isKnown ? null : "Sec-Fetch-Site";
  }

  #isAllowed(name: string | null): boolean {
    return name !== null && (this.#names.has(name) || isIP(name) !== 0);
  }
}

/** @returns the lower-case name of `name:port` or `[::1]:port`; null for other texts. */
function hostName(host: string): string | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:\s/@,]+))(?::\d{1,5})?$/.exec(host);
  return match === null ? null : (match[1] ?? match[2]!).toLowerCase().replace(/\.$/, "");
}

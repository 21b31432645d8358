/** Whether a listening address can be reached from this machine only. */
import { isIPv4 } from "node:net";

/**
 * A name other than `localhost` may resolve to anything, so it counts as reachable from elsewhere.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name === "localhost") return true;
  if (isIPv4(name)) return name.startsWith("127.");
  const canonical = URL.parse(`http://[${name}]`)?.hostname;
  return canonical === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical ?? "");
}

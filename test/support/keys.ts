/** Keys of clients, made as their users make them. */
import { runCli } from "./run-cli.ts";

/** @param path of the file of keys. @param more flags. @throws Error it was refused. */
export async function addKey(path: string, name: string, may: string, more: string[] = []): Promise<string> {
  const { code, stdout, stderr } = await runCli([
    ...["keys", "add", name, "--may", may, "--keys", path, "--json"],
    ...more,
  ]);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { key: string }).key;
}

/** @param key null: none is sent. */
export function bearer(key: string | null): Record<string, string> {
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/** Waits for the next window of a rate if this one is about to end. */
export async function untilRateLasts(windowMs: number, leastMs: number): Promise<void> {
  const leftMs = windowMs - (Date.now() % windowMs);
  if (leftMs < leastMs) await Bun.sleep(leftMs);
}

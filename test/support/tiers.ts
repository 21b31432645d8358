/** A server, and one in front of it. */
import { startServer } from "./server.ts";

export interface TiersOptions {
  /** Of each; default 2. */
  workers?: number;
  flags?: string[];
  frontFlags?: string[];
}

export async function startTiers({ workers = 2, flags = [], frontFlags = [] }: TiersOptions = {}) {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startServer({ workers, flags }));
  const front = stack.use(
    await startServer({ workers, flags: frontFlags, dbFile: `127.0.0.1:${upstream.port}` }),
  );
  return { upstream, front, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

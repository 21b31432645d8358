/** Bytes to a port and back, whatever they are. */
import { connect } from "node:net";

const WAIT_MS = 5_000;

/** @returns What comes until the server closes, or is quiet for the time. */
export async function exchangeBytes(port: number, bytes: Uint8Array, quietMs: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  let text = "";
  let quiet: Timer | undefined;
  const limit = setTimeout(resolve, WAIT_MS);
  const wait = (): void => {
    clearTimeout(quiet);
    quiet = setTimeout(resolve, quietMs);
  };
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    wait();
  });
  for (const event of ["error", "end", "close"]) socket.on(event, () => resolve());
  socket.write(bytes);
  wait();
  await promise;
  clearTimeout(limit);
  clearTimeout(quiet);
  socket.destroy();
  return text;
}

/** One WebSocket client of one ticker, on a connection of its own. */
import { ownKeyHeaders } from "../../access/own-key.ts";
import { within } from "../../time/within.ts";
import { asObject, CheckFailure } from "./server-under-check.ts";

export interface Subscriber {
  /** @returns when a quote with that bid came, by `performance.now()`. */
  awaitBid(price: number): Promise<number>;
  close(): void;
}

const SUBSCRIBE_TIMEOUT_MS = 10_000;
const DELIVERY_TIMEOUT_MS = 10_000;

/**
 * Subscribes and waits for the socket's first price, which the ticker must have. After it, no
 * update can be missed.
 * @param wsUrl `ws://host:port/ws?symbol=…`
 * @throws CheckFailure when the socket doesn't open, or its first price doesn't come.
 */
export async function subscribe(wsUrl: string): Promise<Subscriber> {
  const socket = new WebSocket(wsUrl, { headers: ownKeyHeaders() });
  const firstPrice = Promise.withResolvers<void>();
  const cameAt = new Map<number, number>();
  let waiting: { price: number; resolve(at: number): void; reject(error: Error): void } | null = null;
  let failure: CheckFailure | null = null;

  const fail = (reason: string): void => {
    failure ??= new CheckFailure(reason);
    firstPrice.reject(failure);
    waiting?.reject(failure);
  };
  socket.onmessage = ({ data }) => {
    const frame = readFrame(String(data));
    if (frame === null) return fail(`a WebSocket got a frame that is not JSON: ${String(data).slice(0, 80)}`);
    if (frame.type === "initial_price") firstPrice.resolve();
    for (const price of bidsOf(frame)) {
      cameAt.set(price, performance.now());
      if (waiting?.price === price) waiting.resolve(performance.now());
    }
  };
  socket.onerror = () => fail("a WebSocket failed");
  socket.onclose = ({ code, reason }) => fail(`a WebSocket was closed with ${code} ${reason}`.trim());

  try {
    await inTime(firstPrice.promise, SUBSCRIBE_TIMEOUT_MS, "the first price of a subscription");
  } catch (error) {
    socket.terminate();
    throw error;
  }
  return {
    async awaitBid(price) {
      const already = cameAt.get(price);
      if (already !== undefined) return already;
      if (failure !== null) throw failure;
      const update = new Promise<number>((resolve, reject) => {
        waiting = { price, resolve, reject };
      });
      return await inTime(update, DELIVERY_TIMEOUT_MS, "an update");
    },
    close() {
      socket.onerror = null;
      socket.onclose = null;
      socket.close(1000);
      fail("the subscriber was closed");
    },
  };
}

function readFrame(text: string): Record<string, unknown> | null {
  try {
    return asObject(asObject(JSON.parse(text)).data);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function bidsOf(frame: Record<string, unknown>): number[] {
  if (frame.type !== "quote" || !Array.isArray(frame.payload)) return [];
  return frame.payload.map((quote) => asObject(quote).bid_price).filter((price) => typeof price === "number");
}

function inTime<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  return within(promise, ms, () => {
    throw new CheckFailure(`${what} did not come within ${ms} ms`);
  });
}

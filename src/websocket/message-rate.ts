/**
 * Limits what one WebSocket may send, live or replay. Every message, ping and pong counts. Bun
 * doesn't show the earlier frames of a fragmented message, or anything after a close.
 */
import { TokenBucket } from "./token-bucket.ts";

/** Added to twice `--ws-symbols-max`, as messages may name and take back tickers one by one. */
const MESSAGES_AT_ONCE = 2_000;
const MESSAGES_PER_S = 100;
/** A message counts as one more for each of these. */
const BYTES_PER_MESSAGE = 64 * 1024;

export function messageRate(symbolsMax: number): TokenBucket {
  return new TokenBucket(MESSAGES_AT_ONCE + 2 * symbolsMax, MESSAGES_PER_S);
}

/** @param message null: a ping or pong. @returns the number of messages that it counts as. */
export function messageCost(message: string | Buffer | null): number {
  return 1 + Math.floor((message?.length ?? 0) / BYTES_PER_MESSAGE);
}

export function tooManyMessages(symbolsMax: number): string {
  const atOnce = MESSAGES_AT_ONCE + 2 * symbolsMax;
  return `too many messages, expected at most ${atOnce} at once and ${MESSAGES_PER_S} a second after that, pings included`;
}

/**
 * How much one WebSocket may send, live or replay. Every message counts, whatever is in it, and
 * every ping and pong. Bun shows neither the frames of a message in pieces before its last one, nor
 * what comes after a close.
 */
import { TokenBucket } from "./token-bucket.ts";

/**
 * Beside twice `--ws-symbols-max`: a client may name each of its tickers in a message of its own,
 * and take each back.
 */
const MESSAGES_AT_ONCE = 2_000;
const MESSAGES_PER_S = 100;
/** A message counts as one more for each of these. */
const BYTES_PER_MESSAGE = 64 * 1024;

export function messageRate(symbolsMax: number): TokenBucket {
  return new TokenBucket(MESSAGES_AT_ONCE + 2 * symbolsMax, MESSAGES_PER_S);
}

/** @param message null: a ping, or a pong. @returns as how many messages it counts. */
export function messageCost(message: string | Buffer | null): number {
  return 1 + Math.floor((message?.length ?? 0) / BYTES_PER_MESSAGE);
}

export function tooManyMessages(symbolsMax: number): string {
  const atOnce = MESSAGES_AT_ONCE + 2 * symbolsMax;
  return `too many messages, expected at most ${atOnce} at once and ${MESSAGES_PER_S} a second after that, pings included`;
}

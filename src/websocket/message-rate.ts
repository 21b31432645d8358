/**
 * How much one WebSocket may send, live or replay. Every message counts, whatever is in it, and every ping and pong. Bun shows
 * neither the frames of a message in pieces before its last one, nor what comes after a close.
 */
import { TokenBucket } from "./token-bucket.ts";

/** Beside twice `--ws-symbols-max`: a client may name each of its tickers in a message of its own, and take each back. */
const MESSAGES_AT_ONCE = 2_000;
const MESSAGES_PER_S = 100;

export function messageRate(symbolsMax: number): TokenBucket {
  return new TokenBucket(MESSAGES_AT_ONCE + 2 * symbolsMax, MESSAGES_PER_S);
}

export function tooManyMessages(symbolsMax: number): string {
  const atOnce = MESSAGES_AT_ONCE + 2 * symbolsMax;
  return `too many messages, expected at most ${atOnce} at once and ${MESSAGES_PER_S} a second after that, pings included`;
}

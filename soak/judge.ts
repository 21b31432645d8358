/**
 * The end of a soak: what is stored, what the writers were promised and what each subscriber saw
 * have to be the same.
 */
import { Bits } from "./bits.ts";
import type { TickerBook } from "./books.ts";
import { readNumbers } from "./numbered-saves.ts";
import { type Identity, identityOf, kindOf, type SeenUpdates } from "./seen-updates.ts";
import type { StoredUpdate } from "./stored-updates.ts";
import type { SubscriberCheck } from "./subscriber-check.ts";
import type { TickerCheck } from "./ticker-check.ts";
import type { Violations } from "./violations.ts";

const DATABASE = "the database";
/** A list of positions in a sentence ends here. */
const POSITIONS_SHOWN = 10;

/** Every update of a ticker, by position; index 0 is empty. */
export type StoredTicker = Identity[];

export interface JudgedTicker {
  book: TickerBook;
  seen: SeenUpdates;
  /** All updates of the ticker, ascending. */
  stored: AsyncIterable<StoredUpdate>;
}

/**
 * Holds the log against the books and against what the subscribers agreed on.
 *
 * @returns its updates by position.
 */
export async function judgeStored(
  { book, seen, stored }: JudgedTicker,
  violations: Violations,
): Promise<StoredTicker> {
  const { ticker } = book;
  const identities: StoredTicker = [0];
  const inUpdates = new Bits();
  const complain = (what: string, frames: string[] = []) =>
    violations.add({ fault: "content", who: DATABASE, ticker, what, frames });
  for await (const { seq, kind, records, text } of stored) {
    if (seq !== identities.length) complain(`update ${seq} follows ${identities.length - 1}`, [text]);
    const numbers = readNumbers(kind, records);
    if (numbers === null) complain(`update ${seq} is not one whole save`, [text]);
    const { first, count } = numbers ?? { first: 0, count: 0 };
    const identity = identityOf(kind, first);
    identities[seq] = identity;
    if (seen.note(seq, identity) !== identity)
      complain(`update ${seq} was another one for its subscribers`, [text]);
    if (first + count > book.next) complain(`update ${seq} holds records that were never sent`, [text]);
    for (let n = first; n < first + count; n++) {
      if (inUpdates.add(n)) complain(`record ${n} is in update ${seq}, and in one before`, [text]);
    }
  }
  const missing: number[] = [];
  for (let n = 1; n < book.next; n++) if (book.answered.has(n) && !inUpdates.has(n)) missing.push(n);
  if (missing.length > 0) complain(`no update holds the answered records ${listed(missing)}`);
  return identities;
}

/** Holds what one subscriber saw against the log. Counts what never came as lost. */
export function judgeSubscriber(
  check: SubscriberCheck,
  stored: ReadonlyMap<string, StoredTicker>,
  violations: Violations,
): void {
  for (const ticker of check.interest.tickers ?? stored.keys()) {
    const updates = stored.get(ticker) ?? [0];
    const newest = updates.length - 1;
    const of = check.tickers.get(ticker);
    const complain = (fault: "lost" | "content" | "heartbeat", what: string, count = 1) =>
      violations.add({ fault, who: check.interest.name, ticker, what, frames: check.recentFrames() }, count);
    if (of === undefined || of.base === null) {
      if (newest > 0) complain("lost", "nothing ever came");
      continue;
    }
    const { lost, surplus } = compare(of, updates);
    of.counts.lost += lost.length;
    if (lost.length > 0) complain("lost", `never came: ${listed(lost)}`, lost.length);
    if (surplus.length > 0) complain("content", `came, but are not stored: ${listed(surplus)}`);
    if (of.heartbeat !== newest)
      complain(
        "heartbeat",
        `at rest, the heartbeat's position is ${of.heartbeat}, the newest update ${newest}`,
      );
  }
}

function compare(check: TickerCheck, updates: StoredTicker): { lost: number[]; surplus: number[] } {
  const lost: number[] = [];
  const surplus: number[] = [];
  const newest = updates.length - 1;
  for (let seq = check.base! + 1; seq <= Math.max(newest, check.last); seq++) {
    const isDue = seq <= newest && check.wants(kindOf(updates[seq] ?? 0));
    if (isDue && !check.hasArrived(seq)) lost.push(seq);
    if (!isDue && check.hasArrived(seq)) surplus.push(seq);
  }
  return { lost, surplus };
}

function listed(numbers: readonly number[]): string {
  const shown = numbers.slice(0, POSITIONS_SHOWN).join(", ");
  return numbers.length <= POSITIONS_SHOWN ? shown : `${shown} … (${numbers.length})`;
}

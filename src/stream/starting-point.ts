/** Where a subscription begins: the first frame, and the position that it stands for. */
import {
  initialPriceFrame,
  type NotRecovered,
  notRecoveredFrame,
  recoveredFrame,
  snapshotFrame,
} from "../protocol/frames.ts";
import { firstHole, type Hole } from "../storage/holes.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { Since, StoredUpdate, UpdateReader } from "../storage/update-contract.ts";
import { READ_LIMIT } from "./catch-up.ts";
import { snapshotJson } from "./snapshot-json.ts";

export type Start =
  /** With the latest price, if one is known. */
  | { kind: "price" }
  | { kind: "snapshot" }
  /** With nothing but what comes. */
  | { kind: "now" }
  /**
   * After a position, or with the updates that were committed from a moment on; by ticker, or the
   * same for all. A ticker that isn't named begins at its first update. @param epoch that the
   * positions are of, null: this one.
   */
  | { kind: "since"; since: Since | Map<string, Since>; epoch: string | null };

/** With many updates a second, one may come between each time. */
const PRICE_TRIES = 10;

export interface StartingPointOptions {
  /** As it is in the database: a kept one could be older than a position that is read beside it. */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
}

/** The first frame, and the position whose next update follows. */
export interface BeginsAt {
  frame: string | null;
  position: number;
  /** No update was missed, and no content is told. */
  nothing: boolean;
  /** The first updates after the position, if they were read. */
  read: StoredUpdate[] | null;
}

/** From where on updates can be told. */
interface Found {
  position: number;
  newest: number;
  read: StoredUpdate[] | null;
}

/** Whether a subscription to all tickers has anything to read of one that is at this position. */
export function concerns(start: Start, ticker: string, position: number, epoch: string): boolean {
  if (start.kind !== "since") return false;
  if (!(start.since instanceof Map)) return position > 0;
  if (start.epoch !== null && start.epoch !== epoch) return true;
  const since = start.since.get(ticker) ?? { position: 0 };
  return "timeMs" in since || since.position !== position;
}

export class StartingPoint {
  readonly #options: StartingPointOptions;

  constructor(options: StartingPointOptions) {
    this.#options = options;
  }

  /** @param delivered a position that is in the database. */
  async of(ticker: string, delivered: number, start: Start, epoch: string): Promise<BeginsAt> {
    switch (start.kind) {
      case "now":
        return { frame: null, position: delivered, nothing: true, read: null };
      case "price":
        return this.#price(ticker, delivered, epoch);
      case "snapshot": {
        const snapshot = await this.#options.updates.snapshot(ticker);
        const position = { seq: snapshot.position, epoch };
        const frame = snapshotFrame(ticker, snapshotJson(snapshot), position);
        return { frame, position: snapshot.position, nothing: false, read: null };
      }
      case "since":
        return this.#since(ticker, delivered, start, epoch);
    }
  }

  /**
   * The position is the same before and after the price is read: so the price is of that position.
   */
  async #price(ticker: string, delivered: number, epoch: string): Promise<BeginsAt> {
    const { latestPrice, updates } = this.#options;
    let seq = delivered;
    let price: number | null = null;
    for (let tries = 0; tries < PRICE_TRIES; tries++) {
      const read = latestPrice(ticker);
      price = read instanceof Promise ? await read : read;
      const positions = updates.positions([ticker]);
      const newest = (positions instanceof Promise ? await positions : positions).get(ticker) ?? 0;
      if (newest <= seq) break;
      // After the last try the price is of an update that follows: none is lost.
      if (tries < PRICE_TRIES - 1) seq = newest;
    }
    const frame = price === null ? null : initialPriceFrame(ticker, price, new Date(), { seq, epoch });
    return { frame, position: seq, nothing: price === null, read: null };
  }

  async #since(
    ticker: string,
    delivered: number,
    start: Start & { kind: "since" },
    epoch: string,
  ): Promise<BeginsAt> {
    const { updates } = this.#options;
    const since = start.since instanceof Map ? (start.since.get(ticker) ?? { position: 0 }) : start.since;
    const found = await this.#find(ticker, delivered, since, start.epoch, epoch);
    if ("position" in found) {
      const { position, newest, read } = found;
      const frame = recoveredFrame(ticker, position + 1, newest, epoch);
      return { frame, position, nothing: position === newest, read };
    }
    const snapshot = await updates.snapshot(ticker);
    const position = { seq: snapshot.position, epoch };
    const frame = notRecoveredFrame(ticker, found, snapshotJson(snapshot), position);
    return { frame, position: snapshot.position, nothing: false, read: null };
  }

  async #find(
    ticker: string,
    delivered: number,
    since: Since,
    epochGiven: string | null,
    epoch: string,
  ): Promise<Found | NotRecovered> {
    const { updates } = this.#options;
    if (epochGiven !== null && epochGiven !== epoch) {
      return {
        code: "epoch_changed",
        reason: `positions of epoch ${epochGiven} mean nothing here: the database is ${epoch}`,
      };
    }
    const newest = Math.max(delivered, (await updates.positions([ticker])).get(ticker) ?? 0);
    if ("timeMs" in since) {
      const before = await positionBefore(updates, ticker, since.timeMs);
      const found = before === null ? null : await this.#readFrom(ticker, before, newest);
      if (found !== null && "position" in found) return found;
      const time = new Date(since.timeMs).toISOString();
      return { code: "not_kept", reason: `not every update of ${ticker} since ${time} is kept` };
    }
    if (since.position <= newest) return this.#readFrom(ticker, since.position, newest);
    return {
      code: "position_ahead",
      reason: `${ticker} has no position ${since.position}: its newest is ${newest}`,
    };
  }

  /** Most have missed little: then it is known here whether all of it can be told. */
  async #readFrom(ticker: string, position: number, newest: number): Promise<Found | NotRecovered> {
    if (position >= newest) return { position, newest: position, read: null };
    const read = await this.#options.updates.after(ticker, position, READ_LIMIT);
    const hole = firstHole(position, read, newest);
    return hole === null ? { position, newest, read } : notKept(ticker, hole, read);
  }
}

function notKept(ticker: string, { from, to }: Hole, read: readonly StoredUpdate[]): NotRecovered {
  const isCopied = read.some(({ position }) => position === from);
  const oldest = isCopied || read.length === 0 ? "" : `; the oldest is ${to + 1}`;
  const reason = isCopied
    ? `update ${from} of ${ticker} was rows of an import into the file, or of a copy, which are not kept as updates`
    : `update ${from} of ${ticker} is not kept any more${oldest}`;
  return { code: "not_kept", reason };
}

/**
 * Finds where a subscription begins: its first frame, and the position that the frame stands for.
 */
import type { NotRecovered } from "../protocol/frames.ts";
import { firstHole, type Hole } from "../storage/holes.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { Since, StoredUpdate, UpdateReader } from "../storage/update-contract.ts";
import { READ_LIMIT } from "./catch-up.ts";
import type { FrameForm } from "./frame-form.ts";

export type Start =
  /** The latest price, if one is known. */
  | { kind: "price" }
  | { kind: "snapshot" }
  /** Only updates to come. */
  | { kind: "now" }
  /**
   * Updates after a position, or committed since a time; by ticker, or one for all. Tickers that
   * are not named begin at their first update. `epoch`: that of the positions; null: the current
   * one.
   */
  | { kind: "since"; since: Since | Map<string, Since>; epoch: string | null };

/** With many updates a second, one may come between any two reads. */
const PRICE_TRIES = 10;

export interface StartingPointOptions {
  /** Must read the database: a cached price could be older than the position read beside it. */
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
}

export interface BeginsAt {
  frame: string | null;
  position: number;
  /** No update was missed, and no content is sent. */
  nothing: boolean;
  /** The first updates after the position, if they were read. */
  read: StoredUpdate[] | null;
}

/** The client: its database, and how it is told. */
interface ToldClient {
  epoch: string;
  form: FrameForm;
}

interface Found {
  position: number;
  newest: number;
  read: StoredUpdate[] | null;
}

/** Whether a subscription to all tickers has to read anything of this one. */
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

  /** @param delivered a position that the database holds. */
  async of(ticker: string, delivered: number, start: Start, told: ToldClient): Promise<BeginsAt> {
    switch (start.kind) {
      case "now":
        return { frame: null, position: delivered, nothing: true, read: null };
      case "price":
        return this.#price(ticker, delivered, told);
      case "snapshot": {
        const snapshot = await this.#options.updates.snapshot(ticker);
        const frame = told.form.snapshot(ticker, snapshot, told.epoch);
        return { frame, position: snapshot.position, nothing: false, read: null };
      }
      case "since":
        return this.#since(ticker, delivered, start, told);
    }
  }

  /** Reads until the position is the same before and after: then the price belongs to it. */
  async #price(ticker: string, delivered: number, { form, epoch }: ToldClient): Promise<BeginsAt> {
    const { latestPrice, updates } = this.#options;
    let position = delivered;
    let price: number | null = null;
    for (let tries = 0; tries < PRICE_TRIES; tries++) {
      const read = latestPrice(ticker);
      price = read instanceof Promise ? await read : read;
      const positions = updates.positions([ticker]);
      const newest = (positions instanceof Promise ? await positions : positions).get(ticker) ?? 0;
      if (newest <= position) break;
      // After the last try the price may be that of a later update, which still follows.
      if (tries < PRICE_TRIES - 1) position = newest;
    }
    const frame = price === null ? null : form.price(ticker, price, new Date(), { seq: position, epoch });
    return { frame, position, nothing: price === null, read: null };
  }

  async #since(
    ticker: string,
    delivered: number,
    start: Start & { kind: "since" },
    { form, epoch }: ToldClient,
  ): Promise<BeginsAt> {
    const { updates } = this.#options;
    const since = start.since instanceof Map ? (start.since.get(ticker) ?? { position: 0 }) : start.since;
    const found = await this.#find(ticker, delivered, since, start.epoch, epoch);
    if ("position" in found) {
      const { position, newest, read } = found;
      const frame = form.recovered(ticker, position + 1, newest, epoch);
      return { frame, position, nothing: position === newest, read };
    }
    const snapshot = await updates.snapshot(ticker);
    const frame = form.notRecovered(ticker, found, snapshot, epoch);
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

  /** One read shows for most clients, who missed little, whether all of it is kept. */
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

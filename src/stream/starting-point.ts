/** Where a subscription begins: the first frame, and the position that it stands for. */
import {
  initialPriceFrame,
  type NotRecovered,
  notRecoveredFrame,
  recoveredFrame,
  snapshotFrame,
} from "../protocol/frames.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { UpdateReader } from "../storage/update-contract.ts";
import { snapshotJson } from "./snapshot-json.ts";

/** A position, or a moment in ms since 1970. */
export type Since = { position: number } | { timeMs: number };

export type Start =
  /** With the latest price, if one is known. */
  | { kind: "price" }
  | { kind: "snapshot" }
  /** With nothing but what comes. */
  | { kind: "now" }
  /**
   * After a position, or with the updates that were committed from a moment on; by ticker, or the same for all. A ticker that isn't named begins
   * at its first update. @param epoch that the positions are of, null: this one.
   */
  | { kind: "since"; since: Since | Map<string, Since>; epoch: string | null };

export interface StartingPointOptions {
  latestPrice(ticker: string): number | null | Promise<number | null>;
  updates: UpdateReader;
}

/** The first frame, and the position whose next update follows. `nothing`: no update was missed, and no content is told. */
export interface BeginsAt {
  frame: string | null;
  position: number;
  nothing: boolean;
}

/** Whether a subscription to all tickers has anything to read of one that is at this position. */
export function concerns(start: Start, ticker: string, position: number, epoch: string): boolean {
  if (start.kind !== "since") return false;
  if (!(start.since instanceof Map)) return position > 0;
  if (start.epoch !== null && start.epoch !== epoch) return true;
  const since = start.since.get(ticker) ?? { position: 0 };
  return "timeMs" in since || since.position !== position;
}

const ONE = { updates: 1, characters: 1 };

export class StartingPoint {
  readonly #options: StartingPointOptions;

  constructor(options: StartingPointOptions) {
    this.#options = options;
  }

  /** @param delivered a position that is in the database. */
  async of(ticker: string, delivered: number, start: Start, epoch: string): Promise<BeginsAt> {
    switch (start.kind) {
      case "now":
        return { frame: null, position: delivered, nothing: true };
      case "price": {
        const read = this.#options.latestPrice(ticker);
        const price = read instanceof Promise ? await read : read;
        const position = { seq: delivered, epoch };
        return {
          frame: price === null ? null : initialPriceFrame(ticker, price, new Date(), position),
          position: delivered,
          nothing: price === null,
        };
      }
      case "snapshot": {
        const snapshot = await this.#options.updates.snapshot(ticker);
        const position = { seq: snapshot.seq, epoch };
        const frame = snapshotFrame(ticker, snapshotJson(snapshot), position);
        return { frame, position: snapshot.seq, nothing: false };
      }
      case "since":
        return this.#since(ticker, delivered, start, epoch);
    }
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
      const { position, newest } = found;
      const frame = recoveredFrame(ticker, position + 1, newest, epoch);
      return { frame, position, nothing: position === newest };
    }
    const snapshot = await updates.snapshot(ticker);
    const position = { seq: snapshot.seq, epoch };
    const frame = notRecoveredFrame(ticker, found, snapshotJson(snapshot), position);
    return { frame, position: snapshot.seq, nothing: false };
  }

  async #find(
    ticker: string,
    delivered: number,
    since: Since,
    epochGiven: string | null,
    epoch: string,
  ): Promise<{ position: number; newest: number } | NotRecovered> {
    const { updates } = this.#options;
    if (epochGiven !== null && epochGiven !== epoch) {
      return {
        code: "epoch_changed",
        reason: `positions of epoch ${epochGiven} mean nothing here: the database is ${epoch}`,
      };
    }
    const newest = Math.max(delivered, (await updates.positions([ticker])).get(ticker) ?? 0);
    if ("timeMs" in since) return this.#at(ticker, since.timeMs, newest);
    const { position } = since;
    if (position > newest)
      return {
        code: "position_ahead",
        reason: `${ticker} has no position ${position}: its newest is ${newest}`,
      };
    if (position === newest) return { position, newest };
    const [next] = await updates.after(ticker, position, ONE);
    if (next?.seq === position + 1 && next.frame !== "") return { position, newest };
    if (next?.seq === position + 1) {
      return {
        code: "not_kept",
        reason: `update ${next.seq} of ${ticker} was rows of an import into the file, or of a copy, which are not kept as updates`,
      };
    }
    return {
      code: "not_kept",
      reason: `update ${position + 1} of ${ticker} is not kept any more${next === undefined ? "" : `; the oldest is ${next.seq}`}`,
    };
  }

  async #at(
    ticker: string,
    timeMs: number,
    newest: number,
  ): Promise<{ position: number; newest: number } | NotRecovered> {
    const position = await positionBefore(this.#options.updates, ticker, timeMs);
    if (position !== null) return { position, newest: Math.max(newest, position) };
    return {
      code: "not_kept",
      reason: `not every update of ${ticker} since ${new Date(timeMs).toISOString()} is kept any more`,
    };
  }
}

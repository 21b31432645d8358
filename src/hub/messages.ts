/**
 * What workers and the hub say to each other over the hub's Unix socket. Both sides are the same
 * version of this program, so the shape may change freely; order on the socket is order of commit.
 */

import type { BusFigures } from "../bus/bus.ts";
import type { ConditionName } from "../observe/conditions.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import type { ReadToHub, ReadToWorker } from "./read-messages.ts";

/**
 * The save holds its update, but for the frame: the frames of a message are its attachment, one
 * after the other, as in JSON each would be escaped and parsed for nothing.
 */
export type SaveEntry = [id: number, save: Save, frameLength: number];

/** The update of a save that its worker has committed itself. */
export type CommittedEntry = [ticker: string, update: Update];

export type ToHub =
  | ReadToHub
  /** Updates that the worker has committed itself: they are only passed on. */
  | { type: "committed"; updates: CommittedEntry[] }
  /** @property addresses of the WebSockets that the worker has, and how many of each. */
  | { type: "hello"; workerId: number; addresses: [address: string, sockets: number][] }
  /** One more WebSocket of the address, if there may be. */
  | { type: "admit"; id: number; address: string }
  | { type: "left"; address: string }
  | { type: "busFigures"; id: number }
  /** The name under which servers of this database meet on the bus. */
  | { type: "bus"; channel: string }
  /** Is the hub there, and its writer? */
  | { type: "ping"; id: number }
  /** @property alone each in a transaction of its own. */
  | { type: "saves"; saves: SaveEntry[]; alone: boolean }
  | { type: "subscribe"; id: number; ticker: string }
  | { type: "unsubscribe"; ticker: string }
  | { type: "lease"; id: number }
  | { type: "release"; id: number }
  /** The ticker of a check: to be removed from the database that the hub writes. */
  | { type: "removeCheck"; id: number; ticker: string }
  /** It was removed: every worker forgets its position. */
  | { type: "removed"; ticker: string };

/** A save of this worker came out so; it has the frame of the update. */
type OutcomeEvent = [kind: 0, id: number, outcome: SaveOutcome];
/** A save of another worker; `ticker` has subscribers here. */
type UpdateEvent = [kind: 1, ticker: string, update: Update];

/** An update of this position exists: another server has committed it, and sent no content. */
type PositionEvent = [kind: 2, ticker: string, seq: number];

export type HubEvent = OutcomeEvent | UpdateEvent | PositionEvent;

/** Answers a message of the worker, by its number. */
export type ReplyToWorker =
  /** @property commitMs how long the commit under way has lasted; 0 if there is none. */
  | { type: "pong"; id: number; commitMs: number }
  | { type: "subscribed"; id: number }
  | { type: "admitted"; id: number; admitted: boolean }
  | { type: "busFigures"; id: number; figures: BusFigures | null }
  /** @property error null: done. */
  | { type: "checkRemoved"; id: number; error: string | null }
  | { type: "leased"; id: number }
  | { type: "released"; id: number };

export type ToWorker =
  | ReadToWorker
  | ReplyToWorker
  | { type: "events"; events: HubEvent[] }
  /** Updates of other servers may have been missed. */
  | { type: "missed" }
  /**
   * What keeps the hub from all of its work, and so each worker; null: nothing of that kind any
   * more.
   */
  | { type: "condition"; name: ConditionName; reason: string | null }
  /** Why the database's file can't be served any more; null: it can. */
  | { type: "lost"; reason: string | null }
  /** Nothing of the ticker is in the database any more. */
  | { type: "removed"; ticker: string };

export const HUB_SOCKET = "hub.sock";
export const BOARD_FILE = "board";

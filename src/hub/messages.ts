/**
 * What workers and the hub say to each other over the hub's Unix socket. Both sides are the same version of this program,
 * so the shape may change freely; order on the socket is order of commit.
 */

import type { BusFigures } from "../bus/bus.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import type { ReadToHub, ReadToWorker } from "./read-messages.ts";

/**
 * The save holds its update, but for the frame: the frames of a message are its attachment, one after the other, as in JSON each would be
 * escaped and parsed for nothing.
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
  | { type: "saves"; saves: SaveEntry[] }
  | { type: "subscribe"; id: number; ticker: string }
  | { type: "unsubscribe"; ticker: string }
  | { type: "lease"; id: number }
  | { type: "release"; id: number };

/** A save of this worker came out so; it has the frame of the update. */
export type OutcomeEvent = [kind: 0, id: number, outcome: SaveOutcome];
/** A save of another worker; `ticker` has subscribers here. */
export type UpdateEvent = [kind: 1, ticker: string, update: Update];

/** An update of this position exists: another server has committed it, and sent no content. */
export type PositionEvent = [kind: 2, ticker: string, seq: number];

export type HubEvent = OutcomeEvent | UpdateEvent | PositionEvent;

/** Answers a message of the worker, by its number. */
export type ReplyToWorker =
  | { type: "subscribed"; id: number }
  | { type: "admitted"; id: number; admitted: boolean }
  | { type: "busFigures"; id: number; figures: BusFigures | null }
  | { type: "leased"; id: number }
  | { type: "released"; id: number };

export type ToWorker =
  | ReadToWorker
  | ReplyToWorker
  | { type: "events"; events: HubEvent[] }
  /** Why the database takes no saves; null when it does. */
  | { type: "database"; problem: string | null }
  /** Updates of other servers may have been missed. */
  | { type: "missed" };

export const HUB_SOCKET = "hub.sock";
export const BOARD_FILE = "board";

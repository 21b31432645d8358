/**
 * What workers and the hub say to each other over the hub's Unix socket. Both sides are the same version of this program,
 * so the shape may change freely; order on the socket is order of commit.
 */

import type { Save, SaveOutcome } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import type { ReadToHub, ReadToWorker } from "./read-messages.ts";

/** The save holds its update: see SaveUpdate. */
export type SaveEntry = [id: number, save: Save];

/** A save that its worker has committed itself. */
export type CommittedEntry = [id: number, ticker: string, update: Update];

/** Instead of a ticker: all of them. No ticker is empty. */
export const ALL_TICKERS = "";

export type ToHub =
  | ReadToHub
  /** Saves that the worker has committed itself: only their frames are passed on, in this order for everybody. */
  | { type: "committed"; saves: CommittedEntry[] }
  | { type: "hello"; workerId: number }
  | { type: "saves"; saves: SaveEntry[] }
  | { type: "subscribe"; id: number; ticker: string }
  | { type: "unsubscribe"; ticker: string }
  | { type: "lease"; id: number }
  | { type: "release"; id: number };

/** A save of this worker came out so; it publishes the frame that it kept. */
export type OutcomeEvent = [kind: 0, id: number, outcome: SaveOutcome];
/** A save of another worker; `ticker` has subscribers here. */
export type UpdateEvent = [kind: 1, ticker: string, update: Update];

export type ToWorker =
  | ReadToWorker
  | { type: "events"; events: (OutcomeEvent | UpdateEvent)[] }
  | { type: "subscribed"; id: number }
  | { type: "leased"; id: number }
  | { type: "released"; id: number };

export const HUB_SOCKET = "hub.sock";
export const BOARD_FILE = "board";

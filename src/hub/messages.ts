/**
 * Messages between workers and the hub. Both sides are the same version of this program, so the
 * shape may change freely. The order on the socket is the order of commit.
 */

import type { BusFigures } from "../bus/bus.ts";
import type { FeedsCounted, FeedsTold } from "../feeds/feed.ts";
import type { ConditionName } from "../observe/conditions.ts";
import type { Edit, EditOutcome, Save, SaveOutcome } from "../storage/contract.ts";
import type { ColumnQuery } from "../storage/model/columns.ts";
import type { Update } from "../storage/update-contract.ts";
import type { UserSqlRequest } from "../storage/user-sql-contract.ts";
import type { ReadName } from "./remote-reads.ts";
import type { SentColumn } from "./sent-columns.ts";

/**
 * A save with its update, except the frame: the message's attachment holds all frames, as JSON
 * would escape and parse each for nothing. Behind them it has the bytes of the saves' columns.
 */
export type SaveEntry = [id: number, save: Save, frameLength: number, columns?: SentColumn[]];

export type CommittedEntry = [ticker: string, update: Update];

export type ToHub =
  | ReadToHub
  /** Updates that the worker has committed itself: the hub passes them on. */
  | { type: "committed"; updates: CommittedEntry[] }
  /**
   * @property sockets how many WebSockets of the worker each holder has.
   * @property feeds what an earlier hub has told it.
   */
  | { type: "hello"; workerId: number; sockets: [holder: string, count: number][]; feeds: FeedsTold }
  /** What it has counted since the last one. */
  | { type: "feeds"; counted: FeedsCounted }
  /** Asks for one more WebSocket of the holder, of which it may have so many in all workers. */
  | { type: "admit"; id: number; holder: string; max: number }
  /** It was let in while the hub hung, which has refused it since. */
  | { type: "entered"; holder: string }
  | { type: "left"; holder: string }
  | { type: "busFigures"; id: number }
  /** The name under which servers of this database meet on the bus. */
  | { type: "bus"; channel: string }
  /** Asks whether the hub and its writer respond. */
  | { type: "ping"; id: number }
  /**
   * @property alone each in a transaction of its own.
   * @property frameBytes of all frames together.
   */
  | { type: "saves"; saves: SaveEntry[]; alone: boolean; frameBytes: number }
  | { type: "subscribe"; id: number; ticker: string }
  | { type: "unsubscribe"; ticker: string }
  | { type: "lease"; id: number }
  | { type: "release"; id: number }
  /** Asks for the removal of a check's ticker from the database. */
  | { type: "removeCheck"; id: number; ticker: string }
  | { type: "edit"; id: number; edit: Edit }
  /** The ticker of a check was removed: every worker forgets its position. */
  | { type: "removed"; ticker: string };

/** The outcome of this worker's save. The worker has the frame of its update. */
type OutcomeEvent = [kind: 0, id: number, outcome: SaveOutcome];
/** Another worker's save, for subscribers of this one. */
type UpdateEvent = [kind: 1, ticker: string, update: Update];

/** Another server has committed an update of this position, and sent no content. */
type PositionEvent = [kind: 2, ticker: string, position: number];

export type HubEvent = OutcomeEvent | UpdateEvent | PositionEvent;

/** Answers the worker's message of that id. */
export type ReplyToWorker =
  /** @property commitMs how long the commit under way has lasted; 0 if there is none. */
  | { type: "pong"; id: number; commitMs: number }
  | { type: "subscribed"; id: number }
  | { type: "admitted"; id: number; admitted: boolean }
  | { type: "busFigures"; id: number; figures: BusFigures | null }
  /** @property error null: done. */
  | { type: "checkRemoved"; id: number; error: string | null }
  | { type: "edited"; id: number; outcome: EditOutcome }
  | { type: "leased"; id: number }
  | { type: "released"; id: number };

export type ToWorker =
  | ReadToWorker
  | ReplyToWorker
  | { type: "events"; events: HubEvent[] }
  /** After each hello, and when something has changed. */
  | { type: "feeds"; told: FeedsTold }
  /** Updates of other servers may have been missed. */
  | { type: "missed" }
  /** The hub, and so each worker, can't do all of its work; null: this condition is over. */
  | { type: "condition"; name: ConditionName; reason: string | null }
  /** Why the database's file can't be served any more; null: it can. */
  | { type: "lost"; reason: string | null }
  /** The ticker is gone from the database. */
  | { type: "removed"; ticker: string };

/** An update without its frame; `bytes` is the frame's size in UTF-8. */
export type UpdateHeader = [position: number, type: string, savedAtMs: number, bytes: number];

/** JSON has no form for integers that a double can't hold. */
export type WireSqlRequest = Omit<UserSqlRequest, "params"> & {
  params: (null | string | number | boolean | { integer: string })[];
};

/** Reads that workers leave to the hub, which holds the database. */
export type ReadToHub =
  | { type: "read"; id: number; name: ReadName; args: unknown[] }
  | { type: "sql"; id: number; request: WireSqlRequest; timeoutMs: number }
  /** The next piece of an answer that said `more`. */
  | { type: "next"; id: number }
  /** Drops the rest, or stops the statement. */
  | { type: "cancel"; id: number };

/** What is asked with `columns`, instead of what doesn't cross a socket. */
export type SentColumnQuery = Omit<ColumnQuery, "signal" | "onPositions"> & { withPositions: boolean };

export interface SentPositions {
  epoch: string;
  positions: [ticker: string, position: number][];
}

/** Rows travel as attachments. */
export type ReadToWorker =
  | { type: "value"; id: number; value: unknown }
  /** The attachment holds the frames, one after the other. */
  | { type: "updates"; id: number; updates: UpdateHeader[] }
  | { type: "empty"; id: number }
  /**
   * The attachment is a piece of the answer; `rows`, `changed` only of SQL, in the first piece. Of
   * columns each piece is a batch, which `columns` tells, but for the last one, which has none.
   */
  | {
      type: "piece";
      id: number;
      more: boolean;
      rows?: number | undefined;
      changed?: number | undefined;
      columns?: SentColumn[] | undefined;
      /** In the first piece, where they were asked for. */
      positions?: SentPositions | undefined;
    }
  | { type: "needs-write"; id: number }
  | {
      type: "failed";
      id: number;
      status: number;
      error: string;
      details: string | undefined;
      hint: string | undefined;
      retryAfterS: number | undefined;
    };

export const HUB_SOCKET = "hub.sock";
export const BOARD_FILE = "board";

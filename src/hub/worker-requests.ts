/** Handles the workers' messages, one handler per type. */
import { messageOf } from "../protocol/message-of.ts";
import type { StockWriter } from "../storage/contract.ts";
import { editedTickers } from "../storage/edits.ts";
import { KIND_NAMES } from "../storage/model/kinds.ts";
import type { BusLink } from "./bus-link.ts";
import type { DatabaseState } from "./database-state.ts";
import type { FeedKeeper } from "./feed-keeper.ts";
import type { SaveEntry, ToHub } from "./messages.ts";
import type { SaveQueue } from "./save-queue.ts";
import { bytesOfColumns, receivedColumns } from "./sent-columns.ts";
import type { VersionBoard } from "./version-board.ts";
import type { WorkerLink, WorkerLinks } from "./worker-links.ts";
import type { WriteLease } from "./write-lease.ts";

export interface WorkerRequestsOptions {
  writer: StockWriter | null;
  links: WorkerLinks;
  saves: SaveQueue;
  lease: WriteLease;
  bus: BusLink;
  feeds: Pick<FeedKeeper, "meet" | "count">;
  board: VersionBoard;
  state: DatabaseState;
}

type RequestHandlers = {
  [T in ToHub["type"]]: (link: WorkerLink, message: Extract<ToHub, { type: T }>, attachment: Buffer) => void;
};
type AnyHandler = (link: WorkerLink, message: ToHub, attachment: Buffer) => void;

/** @returns the handler of messages that have been checked. */
export function workerRequests(options: WorkerRequestsOptions): AnyHandler {
  const handlers: RequestHandlers = {
    ...saveHandlers(options),
    ...updateHandlers(options),
    ...socketHandlers(options),
    ...readHandlers,
  };
  return (link, message, attachment) => (handlers[message.type] as AnyHandler)(link, message, attachment);
}

function saveHandlers({
  writer,
  saves,
  lease,
  board,
  links,
}: WorkerRequestsOptions): Pick<
  RequestHandlers,
  "saves" | "ping" | "lease" | "release" | "removeCheck" | "edit"
> {
  return {
    saves(link, { saves: entries, alone, frameBytes }, attachment) {
      putFramesBack(entries, attachment.subarray(0, frameBytes));
      putColumnsBack(entries, attachment, frameBytes);
      for (const entry of entries) saves.push({ link, entry, alone });
      saves.schedule();
    },
    ping({ channel }, { id }) {
      channel.send({ type: "pong", id, commitMs: saves.commitMs });
    },
    lease(link, { id }) {
      lease.ask(link, id);
      // Never inside a commit; saves that have arrived go first.
      if (saves.isIdle) lease.grant();
    },
    release(link, { id }) {
      lease.release(link, id);
      link.channel.send({ type: "released", id });
    },
    async edit(link, { id, edit }) {
      const made = saves.edit(edit);
      saves.schedule();
      const outcome = await made;
      // Before anybody hears of it, also where it is unknown whether it was made.
      for (const ticker of editedTickers(edit)) for (const kind of KIND_NAMES) board.bump(ticker, kind);
      if (outcome.ok)
        for (const { ticker, update } of outcome.updates) links.passOn(ticker, [1, ticker, update], link);
      links.sendEvents();
      link.channel.send({ type: "edited", id, outcome });
    },
    async removeCheck({ channel }, { id, ticker }) {
      let error: string | null = lease.isOut ? "a statement of a user is writing" : null;
      try {
        if (error === null) {
          await writer?.removeCheck(ticker);
          board.bump(ticker, "ticks");
        }
      } catch (thrown) {
        error = messageOf(thrown);
      }
      channel.send({ type: "checkRemoved", id, error });
    },
  };
}

function updateHandlers({
  links,
  bus,
}: WorkerRequestsOptions): Pick<
  RequestHandlers,
  "subscribe" | "unsubscribe" | "committed" | "removed" | "bus" | "busFigures"
> {
  return {
    subscribe({ tickers, channel }, { id, ticker }) {
      tickers.add(ticker);
      channel.send({ type: "subscribed", id });
    },
    unsubscribe({ tickers }, { ticker }) {
      tickers.delete(ticker);
    },
    committed(link, { updates }) {
      for (const [ticker, update] of updates) links.passOn(ticker, [1, ticker, update], link);
      links.sendEvents();
      bus.publish(updates);
    },
    removed(_, { ticker }) {
      links.sendToAll({ type: "removed", ticker });
    },
    bus(_, { channel }) {
      bus.join(channel);
    },
    busFigures({ channel }, { id }) {
      channel.send({ type: "busFigures", id, figures: bus.figures() });
    },
  };
}

function socketHandlers({
  links,
  state,
  feeds,
}: WorkerRequestsOptions): Pick<RequestHandlers, "hello" | "feeds" | "admit" | "entered" | "left"> {
  return {
    hello(link, { workerId, sockets, feeds: known }) {
      link.workerId = workerId;
      link.sockets = new Map(sockets);
      state.tell(link);
      link.channel.send({ type: "feeds", told: feeds.meet(known) });
    },
    feeds(_, { counted }) {
      feeds.count(counted);
    },
    admit({ sockets, channel }, { id, holder, max }) {
      const admitted = links.socketsOf(holder) < max;
      if (admitted) countSocket(sockets, holder, 1);
      channel.send({ type: "admitted", id, admitted });
    },
    entered({ sockets }, { holder }) {
      countSocket(sockets, holder, 1);
    },
    left({ sockets }, { holder }) {
      countSocket(sockets, holder, -1);
    },
  };
}

/** Below 0 where one has left before it is told that it entered. */
function countSocket(sockets: Map<string, number>, holder: string, more: 1 | -1): void {
  const count = (sockets.get(holder) ?? 0) + more;
  if (count !== 0) sockets.set(holder, count);
  else sockets.delete(holder);
}

const readHandlers: Pick<RequestHandlers, "read" | "sql" | "next" | "cancel"> = {
  read: (link, message) => link.reads?.receive(message),
  sql: (link, message) => link.reads?.receive(message),
  next: (link, message) => link.reads?.receive(message),
  cancel: (link, message) => link.reads?.receive(message),
};

function putColumnsBack(entries: SaveEntry[], attachment: Buffer, start: number): void {
  let at = start;
  for (const [, save, , told] of entries) {
    if (told === undefined || save.kind !== "ticks") continue;
    const end = at + bytesOfColumns(told);
    // A copy: the buffer is used again.
    save.columns = receivedColumns(told, new Uint8Array(attachment.subarray(at, end)));
    save.rows = new Array(save.columns.rows);
    at = end;
  }
}

function putFramesBack(entries: SaveEntry[], bytes: Buffer): void {
  const frames = bytes.toString("utf8");
  let at = 0;
  for (const [, { update }, length] of entries) {
    if (update !== undefined) update.frame = frames.slice(at, at + length);
    at += length;
  }
}

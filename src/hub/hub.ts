/**
 * The hub owns the database's one writer. It commits whatever has arrived from all workers in one transaction, in
 * order of arrival, and tells each worker what became of its saves and what its subscribers must see, in commit order.
 * It knows neither HTTP nor WebSockets, and no storage engine by name.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import type { Bus, BusOptions, ReceivedUpdate } from "../bus/bus.ts";
import type { LogLines } from "../observe/log.ts";
import { type SaveOutcome, type StockWriter, StorageBusyError } from "../storage/contract.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { MessageChannel } from "./message-channel.ts";
import {
  BOARD_FILE,
  HUB_SOCKET,
  type HubEvent,
  type SaveEntry,
  type ToHub,
  type ToWorker,
} from "./messages.ts";
import { type DatabaseInHub, ReadServer } from "./read-server.ts";
import { createBoardFile, VersionBoard } from "./version-board.ts";

/** Rows in one transaction, so that a flood of large saves doesn't make each wait for all. A single save is never split. */
const TRANSACTION_ROWS_MAX = 20_000;
/** A worker that leaves this much unread is stuck: it is cut off, and reconnects or is replaced. */
const WORKER_BACKLOG_BYTES_MAX = 256 * 1024 * 1024;
/** How soon a commit by a foreign program makes kept answers invalid. */
const FOREIGN_COMMIT_POLL_MS = 100;
/** How long saves wait for a foreign program that holds the write lock, and how often the hub tries again. */
const BUSY_WAIT_MAX_MS = 5_000;
const BUSY_RETRY_MS = 50;

interface Link {
  reads: ReadServer | null;
  workerId: number;
  socket: Socket<Link>;
  channel: MessageChannel<ToWorker, ToHub>;
  /** With ALL_TICKERS where it watches all. */
  tickers: Set<string>;
  /** WebSockets of the worker, by client address. */
  addresses: Map<string, number>;
}

interface QueuedSave {
  link: Link;
  entry: SaveEntry;
}

interface LeaseRequest {
  link: Link;
  id: number;
}

export interface HubOptions {
  runtimeDir: string;
  /** Null when workers commit for themselves: then the hub only passes updates on. */
  writer: StockWriter | null;
  /** For databases that only this process can open: the workers' reads. */
  database: Omit<DatabaseInHub, "written"> | null;
  log: LogLines;
  /** Meets the other servers of the database under this name; null without `--bus`. */
  openBus: ((channel: string, heard: Pick<BusOptions, "receive" | "missed">) => Promise<Bus>) | null;
  /** WebSockets of one client address, in all workers. */
  socketsPerAddressMax: number;
  /** Longest that a write lease may be out before it is taken back: the runner is dead or killed by then. */
  leaseTimeoutMs: number;
}

export interface Hub {
  /** Commits what has arrived, closes the socket and the writer. */
  stop(): Promise<void>;
}

export function startHub({ runtimeDir, writer, database, log, ...options }: HubOptions): Hub {
  const boardPath = join(runtimeDir, BOARD_FILE);
  // A restarted hub finds the board that the workers have mapped, and keeps it.
  if (!existsSync(boardPath)) createBoardFile(boardPath);
  const board = new VersionBoard(boardPath);
  // The hub before may have died between a commit and its bump.
  board.bumpAll();

  const links = new Set<Link>();
  let queue: QueuedSave[] = [];
  let commitScheduled = false;
  /** The commit under way: saves that arrive meanwhile go together in the next. */
  let committing: Promise<void> | null = null;
  let busySince: number | null = null;
  let stopping = false;
  let bus: Bus | null = null;
  let busChannel: string | null = null;
  const leaseQueue: LeaseRequest[] = [];
  let lease: (LeaseRequest & { timer: Timer }) | null = null;

  function scheduleCommit(): void {
    if (commitScheduled || committing !== null || lease !== null || queue.length === 0) return;
    commitScheduled = true;
    setImmediate(startCommit);
  }

  function startCommit(): void {
    commitScheduled = false;
    if (committing !== null || lease !== null || queue.length === 0) return;
    committing = commit().finally(() => {
      committing = null;
      grantLease();
      scheduleCommit();
    });
  }

  async function commit(): Promise<void> {
    if (writer === null) throw new Error("a save came to a hub without a writer");
    const batch = takeBatch();
    if (writer.changedByOthers()) board.bumpAll();
    let outcomes: (SaveOutcome | null)[];
    try {
      const committed = writer.commit(batch.map(({ entry }) => entry[1]));
      // A driver that commits at once is not made to wait a turn.
      outcomes = committed instanceof Promise ? await committed : committed;
      busySince = null;
    } catch (error) {
      if (error instanceof StorageBusyError && !stopping) {
        busySince ??= performance.now();
        if (performance.now() - busySince < BUSY_WAIT_MAX_MS) {
          queue = [...batch, ...queue];
          await Bun.sleep(BUSY_RETRY_MS);
          return;
        }
      }
      // The transaction as a whole failed (disk full, database locked by a foreign program): nothing is stored.
      const details = error instanceof Error ? error.message : String(error);
      log.error(`Hub: commit of ${batch.length} saves failed: ${details}`);
      outcomes = batch.map(() => ({
        ok: false,
        status: 503,
        error: "save: the database refused the commit",
        details,
      }));
    }
    const done: { queued: QueuedSave; outcome: SaveOutcome }[] = [];
    const left: QueuedSave[] = [];
    for (const [index, queued] of batch.entries()) {
      const outcome = outcomes[index] ?? null;
      if (outcome === null) left.push(queued);
      else done.push({ queued, outcome });
    }
    queue = left.length === 0 ? queue : [...left, ...queue];
    for (const { queued } of done) {
      const save = queued.entry[1];
      board.bump(save.ticker, save.kind === "ticks" ? "ticks" : save.interval);
    }
    for (const { queued, outcome } of done) {
      const { link: origin, entry } = queued;
      const [id, save] = entry;
      if (outcome.ok && outcome.seq !== null && save.update !== undefined) {
        const type = save.kind === "bars" ? "bar" : save.type;
        const update = { seq: outcome.seq, type, frame: save.update.frame };
        passOn(save.ticker, [1, save.ticker, update], origin);
      }
      eventsOf(origin).push([0, id, outcome]);
    }
    sendEvents();
  }

  function takeBatch(): QueuedSave[] {
    let rows = 0;
    let count = 0;
    while (
      count < queue.length &&
      (count === 0 || rows + queue[count]!.entry[1].rows.length <= TRANSACTION_ROWS_MAX)
    ) {
      rows += queue[count++]!.entry[1].rows.length;
    }
    if (count === queue.length) {
      const all = queue;
      queue = [];
      return all;
    }
    return queue.splice(0, count);
  }

  /** Events not yet sent, by worker, in the order that everybody sees. */
  const unsent = new Map<Link, HubEvent[]>();

  function eventsOf(link: Link): HubEvent[] {
    let list = unsent.get(link);
    if (list === undefined) {
      list = [];
      unsent.set(link, list);
    }
    return list;
  }

  /** To every worker that watches the ticker, but for the one that it comes from. */
  function passOn(ticker: string, event: HubEvent, origin: Link | null): void {
    for (const link of links) {
      if (link !== origin && (link.tickers.has(ticker) || link.tickers.has(ALL_TICKERS)))
        eventsOf(link).push(event);
    }
  }

  function sendEvents(): void {
    for (const [link, events] of unsent) {
      if (!links.has(link)) continue; // it died meanwhile; its saves are repeated by the worker, or were never answered
      link.channel.send({ type: "events", events });
      if (link.channel.backlogBytes > WORKER_BACKLOG_BYTES_MAX) {
        log.error(
          `Hub: worker ${link.workerId} reads nothing (${link.channel.backlogBytes} bytes wait); cutting it off`,
        );
        link.socket.terminate();
      }
    }
    unsent.clear();
  }

  function grantLease(): void {
    if (stopping || lease !== null || leaseQueue.length === 0) return;
    const request = leaseQueue.shift()!;
    const timer = setTimeout(() => {
      log.error(
        `Hub: worker ${request.link.workerId} kept the write lease for ${options.leaseTimeoutMs} ms; taking it back`,
      );
      endLease();
    }, options.leaseTimeoutMs);
    lease = { ...request, timer };
    request.link.channel.send({ type: "leased", id: request.id });
  }

  function endLease(): void {
    if (lease === null) return;
    clearTimeout(lease.timer);
    lease = null;
    if (writer?.changedByOthers()) board.bumpAll();
    grantLease();
    scheduleCommit();
  }

  function receive(link: Link, message: ToHub, attachment: Buffer): void {
    switch (message.type) {
      case "saves": {
        const frames = attachment.toString("utf8");
        let at = 0;
        for (const entry of message.saves) {
          const [, { update }, length] = entry;
          if (update !== undefined) update.frame = frames.slice(at, at + length);
          at += length;
          queue.push({ link, entry });
        }
        scheduleCommit();
        break;
      }
      case "subscribe":
        link.tickers.add(message.ticker);
        link.channel.send({ type: "subscribed", id: message.id });
        break;
      case "unsubscribe":
        link.tickers.delete(message.ticker);
        break;
      case "lease":
        leaseQueue.push({ link, id: message.id });
        // Between two commits, never inside one; saves that have arrived go first.
        if (queue.length === 0 && committing === null) grantLease();
        break;
      case "release":
        withdraw(link, message.id);
        if (lease?.link === link && lease.id === message.id) endLease();
        link.channel.send({ type: "released", id: message.id });
        break;
      case "busFigures":
        link.channel.send({ type: "busFigures", id: message.id, figures: bus?.figures() ?? null });
        break;
      case "hello":
        link.workerId = message.workerId;
        link.addresses = new Map(message.addresses);
        break;
      case "admit": {
        const admitted = socketsOf(message.address) < options.socketsPerAddressMax;
        if (admitted) link.addresses.set(message.address, (link.addresses.get(message.address) ?? 0) + 1);
        link.channel.send({ type: "admitted", id: message.id, admitted });
        break;
      }
      case "left": {
        const left = (link.addresses.get(message.address) ?? 0) - 1;
        if (left > 0) link.addresses.set(message.address, left);
        else link.addresses.delete(message.address);
        break;
      }
      case "committed":
        for (const [ticker, update] of message.updates) passOn(ticker, [1, ticker, update], link);
        sendEvents();
        bus?.publish(message.updates.map(([ticker, update]) => ({ ticker, update })));
        break;
      case "bus":
        joinBus(message.channel);
        break;
      default:
        link.reads?.receive(message);
    }
  }

  /** The first worker that knows the database names the channel; a database that is another one has another. */
  function joinBus(channel: string): void {
    if (options.openBus === null || channel === busChannel || stopping) return;
    busChannel = channel;
    const before = bus;
    bus = null;
    void before?.close();
    options.openBus(channel, { receive: receiveFromBus, missed: tellMissed }).then(
      (opened) => {
        if (busChannel !== channel || stopping) {
          void opened.close();
          return;
        }
        bus = opened;
        tellMissed();
      },
      (error) => {
        log.error(`Hub: no bus: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }

  function receiveFromBus(updates: ReceivedUpdate[]): void {
    for (const { ticker, seq, update } of updates)
      passOn(ticker, update === null ? [2, ticker, seq] : [1, ticker, update], null);
    sendEvents();
  }

  function tellMissed(): void {
    for (const link of links) link.channel.send({ type: "missed" });
  }

  function socketsOf(address: string): number {
    let count = 0;
    for (const { addresses } of links) count += addresses.get(address) ?? 0;
    return count;
  }

  function withdraw(link: Link, id: number): void {
    const at = leaseQueue.findIndex((request) => request.link === link && request.id === id);
    if (at >= 0) leaseQueue.splice(at, 1);
  }

  function forget(link: Link): void {
    links.delete(link);
    link.reads?.close();
    for (const request of leaseQueue.filter((other) => other.link === link)) withdraw(link, request.id);
    if (lease?.link === link) endLease();
  }

  const socketPath = join(runtimeDir, HUB_SOCKET);
  // After SIGKILL the file of the hub before is still there; the folder is the supervisor's alone, so nobody listens on it.
  rmSync(socketPath, { force: true });
  const listener: UnixSocketListener<Link> = Bun.listen<Link>({
    unix: socketPath,
    socket: {
      open(socket) {
        const link = {
          workerId: -1,
          socket,
          tickers: new Set<string>(),
          addresses: new Map<string, number>(),
          reads: null,
        } as unknown as Link;
        link.channel = new MessageChannel<ToWorker, ToHub>(socket, (message, attachment) =>
          receive(link, message, attachment),
        );
        if (database !== null) {
          const inHub = { ...database, written: () => board.bumpAll() };
          link.reads = new ReadServer(inHub, (message, attachment) => link.channel.send(message, attachment));
        }
        socket.data = link;
        links.add(link);
      },
      data: (socket, chunk) => socket.data.channel.data(chunk),
      drain: (socket) => socket.data.channel.drain(),
      close: (socket) => forget(socket.data),
      error: (socket, error) =>
        log.warning(`Hub: socket of worker ${socket.data.workerId}: ${error.message}`),
    },
  });
  const foreignCommits = setInterval(() => {
    if (lease === null && writer?.changedByOthers()) board.bumpAll();
  }, FOREIGN_COMMIT_POLL_MS);

  return {
    async stop() {
      if (stopping) return;
      stopping = true;
      clearInterval(foreignCommits);
      if (lease !== null) clearTimeout(lease.timer);
      lease = null;
      while (committing !== null || queue.length > 0) {
        startCommit();
        await committing;
      }
      listener.stop(true);
      await bus?.close();
      await writer?.close();
    },
  };
}

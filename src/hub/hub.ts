/**
 * The hub owns the database's one writer. It commits whatever has arrived from all workers in one
 * transaction, in order of arrival, and tells each worker what became of its saves and what its
 * subscribers must see, in commit order. It knows neither HTTP nor WebSockets, and no storage
 * engine by name.
 */
import { chmodSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { StockWriter } from "../storage/contract.ts";
import { BusLink, type BusLinkOptions } from "./bus-link.ts";
import { checkToHub } from "./check-message.ts";
import { MessageChannel } from "./message-channel.ts";
import { BOARD_FILE, HUB_SOCKET, type SaveEntry, type ToHub, type ToWorker } from "./messages.ts";
import { type DatabaseInHub, ReadServer } from "./read-server.ts";
import { type CommittedSave, SaveQueue } from "./save-queue.ts";
import { SavesWatch } from "./saves-watch.ts";
import { createBoardFile, VersionBoard } from "./version-board.ts";
import { type WorkerLink, WorkerLinks } from "./worker-links.ts";
import { WriteLease } from "./write-lease.ts";
import { WriterNote } from "./writer-note.ts";

/** How soon a commit by a foreign program makes kept answers invalid. */
const FOREIGN_COMMIT_POLL_MS = 100;
/** How soon it is told that the disk has little room, where nobody saves. */
const DISK_POLL_MS = 1_000;

/** Whatever --file-mode is: only this server's processes connect. */
const SOCKET_MODE = 0o600;

export interface HubOptions {
  runtimeDir: string;
  /** Null when workers commit for themselves: then the hub only passes updates on. */
  writer: StockWriter | null;
  /** For databases that only this process can open: the workers' reads. */
  database: Omit<DatabaseInHub, "written"> | null;
  log: LogLines;
  /** Meets the other servers of the database under this name; null without `--bus`. */
  openBus: BusLinkOptions["open"];
  /** WebSockets of one client address, in all workers. */
  socketsPerAddressMax: number;
  /**
   * Longest that a write lease may be out before it is taken back: the runner is dead or killed by
   * then.
   */
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

  const links = new WorkerLinks(log);
  const watch = new SavesWatch({
    writer,
    tell: (problem) => links.sendToAll(databaseCondition(problem)),
    log,
  });
  const saves = new SaveQueue({
    writer,
    note: new WriterNote(runtimeDir),
    beforeCommit: bumpIfChangedByOthers,
    committed: tellCommitted,
    failed: tellRoom,
    watch,
    paused: () => lease.grant(),
    isHeldUp: () => lease.isOut,
  });
  const lease = new WriteLease({
    timeoutMs: options.leaseTimeoutMs,
    returned() {
      bumpIfChangedByOthers();
      lease.grant();
      saves.schedule();
    },
    log,
  });
  const bus = new BusLink({
    open: options.openBus,
    receive(updates) {
      for (const { ticker, seq, update } of updates)
        links.passOn(ticker, update === null ? [2, ticker, seq] : [1, ticker, update], null);
      links.sendEvents();
    },
    missed: () => links.sendToAll({ type: "missed" }),
    log,
  });

  /** The board first: whoever hears of a save must not meet an answer from before it. */
  function tellCommitted(committed: CommittedSave[]): void {
    for (const { queued } of committed) {
      const save = queued.entry[1];
      board.bump(save.ticker, save.kind === "ticks" ? "ticks" : save.interval);
    }
    for (const { queued, outcome } of committed) {
      const { link: origin, entry } = queued;
      const [id, save] = entry;
      if (outcome.ok && outcome.seq !== null && save.update !== undefined) {
        const type = save.kind === "bars" ? "bar" : save.type;
        const update = { seq: outcome.seq, type, frame: save.update.frame };
        links.passOn(save.ticker, [1, save.ticker, update], origin);
      }
      links.tell(origin, [0, id, outcome]);
    }
    links.sendEvents();
  }

  function bumpIfChangedByOthers(): void {
    const changed = writer?.changedByOthers() ?? false;
    if (changed) board.bumpAll();
    watch.poll(changed);
  }

  let lost: string | null = null;
  function tellIfLost(): void {
    const now = writer?.lost?.() ?? null;
    if (now === lost) return;
    if (now !== null) log.error(`The database is lost, and nothing is answered from it: ${now}`);
    else log.info("The database's file is there again");
    lost = now;
    links.sendToAll({ type: "lost", reason: lost });
    board.bumpAll();
  }

  let roomLack: string | null = null;
  const diskCondition = (): ToWorker => ({
    type: "condition",
    name: "disk",
    reason: roomLack === null ? null : `${roomLack}; saves are refused`,
  });
  function tellRoom(): void {
    const now = writer?.roomLack?.() ?? null;
    if (now === roomLack) return;
    roomLack = now;
    links.sendToAll(diskCondition());
  }

  function databaseCondition(problem: string | null): ToWorker {
    const reason = problem === null ? null : `the database takes no saves: ${problem}`;
    return { type: "condition", name: "database", reason };
  }

  function receive(link: WorkerLink, message: ToHub, attachment: Buffer): void {
    switch (message.type) {
      case "saves":
        receiveSaves(link, message, attachment);
        break;
      case "ping":
        link.channel.send({ type: "pong", id: message.id, commitMs: saves.commitMs });
        break;
      case "subscribe":
        link.tickers.add(message.ticker);
        link.channel.send({ type: "subscribed", id: message.id });
        break;
      case "unsubscribe":
        link.tickers.delete(message.ticker);
        break;
      case "lease":
        lease.ask(link, message.id);
        // Between two commits, never inside one; saves that have arrived go first.
        if (saves.isIdle) lease.grant();
        break;
      case "release":
        lease.release(link, message.id);
        link.channel.send({ type: "released", id: message.id });
        break;
      case "busFigures":
        link.channel.send({ type: "busFigures", id: message.id, figures: bus.figures() });
        break;
      case "hello":
        link.workerId = message.workerId;
        link.addresses = new Map(message.addresses);
        link.channel.send(diskCondition());
        link.channel.send({ type: "lost", reason: lost });
        if (writer !== null) link.channel.send(databaseCondition(watch.problem));
        break;
      case "admit": {
        const admitted = links.socketsOf(message.address) < options.socketsPerAddressMax;
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
        for (const [ticker, update] of message.updates) links.passOn(ticker, [1, ticker, update], link);
        links.sendEvents();
        bus.publish(message.updates);
        break;
      case "removeCheck":
        void removeCheck(message.ticker).then((error) =>
          link.channel.send({ type: "checkRemoved", id: message.id, error }),
        );
        break;
      case "removed":
        links.sendToAll({ type: "removed", ticker: message.ticker });
        break;
      case "bus":
        bus.join(message.channel);
        break;
      default:
        link.reads?.receive(message);
    }
  }

  function receiveSaves(
    link: WorkerLink,
    { saves: entries, alone }: { saves: SaveEntry[]; alone: boolean },
    attachment: Buffer,
  ): void {
    const frames = attachment.toString("utf8");
    let at = 0;
    for (const entry of entries) {
      const [, { update }, length] = entry;
      if (update !== undefined) update.frame = frames.slice(at, at + length);
      at += length;
      saves.push({ link, entry, alone });
    }
    saves.schedule();
  }

  /** @returns why it couldn't be done; null: it is. */
  async function removeCheck(ticker: string): Promise<string | null> {
    if (lease.isOut) return "a statement of a user is writing";
    try {
      await writer?.removeCheck(ticker);
      board.bump(ticker, "ticks");
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  function forget(link: WorkerLink): void {
    links.delete(link);
    link.reads?.close();
    lease.forget(link);
  }

  /** A worker whose messages can't be read is cut off; it connects again, or is replaced. */
  function takeChunk(socket: Socket<WorkerLink>, chunk: Buffer): void {
    try {
      socket.data.channel.data(chunk);
    } catch (error) {
      log.error(
        `Hub: worker ${socket.data.workerId} sent what can't be read: ${messageOf(error)}; cutting it off`,
      );
      socket.terminate();
    }
  }

  const socketPath = join(runtimeDir, HUB_SOCKET);
  // After SIGKILL the file of the hub before is still there; the folder is the supervisor's alone,
  // so nobody listens on it.
  rmSync(socketPath, { force: true });
  const listener: UnixSocketListener<WorkerLink> = Bun.listen<WorkerLink>({
    unix: socketPath,
    socket: {
      open(socket) {
        const link = {
          workerId: -1,
          socket,
          tickers: new Set<string>(),
          addresses: new Map<string, number>(),
          reads: null,
        } as unknown as WorkerLink;
        link.channel = new MessageChannel<ToWorker, ToHub>(socket, (message, attachment) => {
          checkToHub(message);
          receive(link, message, attachment);
        });
        if (database !== null) {
          const inHub = { ...database, written: () => board.bumpAll() };
          link.reads = new ReadServer(inHub, (message, attachment) => link.channel.send(message, attachment));
        }
        socket.data = link;
        links.add(link);
      },
      data: (socket, chunk) => takeChunk(socket, chunk),
      drain: (socket) => socket.data.channel.drain(),
      close: (socket) => forget(socket.data),
      error: (socket, error) =>
        log.warning(`Hub: socket of worker ${socket.data.workerId}: ${error.message}`),
    },
  });
  chmodSync(socketPath, SOCKET_MODE);
  const foreignCommits = setInterval(() => {
    tellIfLost();
    if (!lease.isOut) bumpIfChangedByOthers();
  }, FOREIGN_COMMIT_POLL_MS);

  const disk = setInterval(tellRoom, DISK_POLL_MS);

  let stopping = false;
  return {
    async stop() {
      if (stopping) return;
      stopping = true;
      clearInterval(foreignCommits);
      clearInterval(disk);
      lease.stop();
      bus.stop();
      await saves.drain();
      listener.stop(true);
      await bus.close();
      await writer?.close();
    },
  };
}

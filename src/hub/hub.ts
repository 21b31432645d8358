/**
 * Owns the database's one writer. Commits everything that workers have sent in one transaction, in
 * order of arrival, and tells each worker, in commit order, its outcomes and the updates that its
 * subscribers need. Knows neither HTTP nor WebSockets, and no storage engine by name.
 */
import { chmodSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import { CommitFigures } from "../metrics/commit-figures.ts";
import { HubMetrics } from "../metrics/hub-metrics.ts";
import type { Samples } from "../metrics/samples.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { StockWriter } from "../storage/contract.ts";
import { updateOf } from "../storage/update-contract.ts";
import { BusLink, type BusLinkOptions } from "./bus-link.ts";
import { checkToHub } from "./check-message.ts";
import { DatabaseState } from "./database-state.ts";
import { FeedKeeper, type FeedKeeperOptions } from "./feed-keeper.ts";
import { MessageChannel } from "./message-channel.ts";
import { BOARD_FILE, HUB_SOCKET, type ToHub, type ToWorker } from "./messages.ts";
import { type DatabaseInHub, ReadServer } from "./read-server.ts";
import { type CommittedSave, SaveQueue } from "./save-queue.ts";
import { createBoardFile, VersionBoard } from "./version-board.ts";
import { type WorkerLink, WorkerLinks } from "./worker-links.ts";
import { workerRequests } from "./worker-requests.ts";
import { WriteLease } from "./write-lease.ts";
import { WriterNote } from "./writer-note.ts";

/** How soon another program's commit invalidates kept answers. */
const FOREIGN_COMMIT_POLL_MS = 100;
/** How soon lack of disk space is reported while no save comes. */
const DISK_POLL_MS = 1_000;

/** Regardless of --file-mode: only this server's processes connect. */
const SOCKET_MODE = 0o600;

export interface HubOptions {
  runtimeDir: string;
  /** Null when workers commit for themselves: then the hub only passes updates on. */
  writer: StockWriter | null;
  /** The workers' reads, for databases that only this process can open. */
  database: Omit<DatabaseInHub, "written"> | null;
  log: LogLines;
  /** Meets the database's other servers under this name; null without `--bus`. */
  openBus: BusLinkOptions["open"];
  feeds: FeedKeeperOptions;
  /** Limit for a write lease: by then the runner is dead or killed. */
  leaseTimeoutMs: number;
}

export interface Hub {
  /** Commits what has arrived, and closes the socket. */
  stop(): Promise<void>;
}

export function startHub(options: HubOptions): Hub {
  const hub = new RunningHub(options);
  hub.listen();
  return hub;
}

class RunningHub implements Hub {
  readonly #options: HubOptions;
  readonly #board: VersionBoard;
  readonly #links: WorkerLinks;
  readonly #state: DatabaseState;
  readonly #saves: SaveQueue;
  readonly #lease: WriteLease;
  readonly #bus: BusLink;
  readonly #feeds: FeedKeeper;
  readonly #figures = new CommitFigures();
  readonly #metrics: HubMetrics;
  readonly #receive: ReturnType<typeof workerRequests>;
  #listener: UnixSocketListener<WorkerLink> | null = null;
  #looks: Timer[] = [];
  #stopping = false;

  constructor(options: HubOptions) {
    const { runtimeDir, writer, log } = options;
    this.#options = options;
    this.#board = openBoard(runtimeDir);
    this.#links = new WorkerLinks(log);
    this.#state = new DatabaseState({ writer, links: this.#links, board: this.#board, log });
    this.#saves = new SaveQueue({
      writer,
      note: new WriterNote(runtimeDir),
      figures: this.#figures,
      beforeCommit: () => this.#state.lookForChanges(),
      committed: (saves) => this.#tellCommitted(saves),
      failed: () => this.#state.lookForRoom(),
      watch: this.#state.watch,
      paused: () => this.#lease.grant(),
      isHeldUp: () => this.#lease.isOut,
    });
    this.#lease = new WriteLease({
      timeoutMs: options.leaseTimeoutMs,
      returned: () => {
        this.#state.lookForChanges();
        this.#lease.grant();
        this.#saves.schedule();
      },
      log,
    });
    this.#bus = this.#openBus();
    this.#feeds = new FeedKeeper({
      ...options.feeds,
      tellAll: (message) => this.#links.sendToAll(message),
      publish: options.openBus === null ? null : (feeds) => this.#bus.publishFeeds(feeds),
      log,
    });
    // Where workers commit, they tell of that.
    const ofCommits = (): Samples => (writer === null ? {} : this.#figures.samples(this.#saves.size));
    this.#metrics = new HubMetrics(runtimeDir, ofCommits, log);
    this.#receive = workerRequests({
      writer,
      links: this.#links,
      saves: this.#saves,
      lease: this.#lease,
      bus: this.#bus,
      feeds: this.#feeds,
      board: this.#board,
      state: this.#state,
    });
  }

  /** Accepts workers, and begins to watch the database. */
  listen(): void {
    const { runtimeDir, log } = this.#options;
    const path = join(runtimeDir, HUB_SOCKET);
    // A hub that was killed leaves the file. Nothing listens on it: the supervisor owns the folder.
    rmSync(path, { force: true });
    this.#listener = Bun.listen<WorkerLink>({
      unix: path,
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, chunk) => this.#takeChunk(socket, chunk),
        drain: (socket) => socket.data.channel.drain(),
        close: (socket) => this.#forget(socket.data),
        error: (socket, error) =>
          log.warning(`Hub: socket of worker ${socket.data.workerId}: ${error.message}`),
      },
    });
    chmodSync(path, SOCKET_MODE);
    const look = (): void => {
      this.#state.lookForLoss();
      if (!this.#lease.isOut) this.#state.lookForChanges();
    };
    this.#looks = [
      setInterval(look, FOREIGN_COMMIT_POLL_MS),
      setInterval(() => this.#state.lookForRoom(), DISK_POLL_MS),
    ];
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const timer of this.#looks) clearInterval(timer);
    this.#lease.stop();
    this.#feeds.stop();
    this.#bus.stop();
    await this.#saves.drain();
    this.#metrics.stop();
    this.#listener?.stop(true);
    await this.#bus.close();
  }

  #openBus(): BusLink {
    const links = this.#links;
    return new BusLink({
      open: this.#options.openBus,
      receive(updates) {
        for (const { ticker, position, update } of updates)
          links.passOn(ticker, update === null ? [2, ticker, position] : [1, ticker, update], null);
        links.sendEvents();
      },
      receiveFeeds: (feeds) => this.#feeds.hear(feeds),
      missed: () => links.sendToAll({ type: "missed" }),
      log: this.#options.log,
    });
  }

  /** Bumps the board first: whoever hears of a save must not get an answer from before it. */
  #tellCommitted(committed: CommittedSave[]): void {
    const links = this.#links;
    for (const { queued } of committed) {
      const save = queued.entry[1];
      this.#board.bump(save.ticker, save.kind);
    }
    for (const { queued, outcome } of committed) {
      const { link: origin, entry } = queued;
      const [id, save] = entry;
      const update = outcome.ok ? updateOf(save, outcome) : null;
      if (update !== null) links.passOn(save.ticker, [1, save.ticker, update], origin);
      links.tell(origin, [0, id, outcome]);
    }
    links.sendEvents();
  }

  #open(socket: Socket<WorkerLink>): void {
    const link = {
      workerId: -1,
      socket,
      tickers: new Set<string>(),
      sockets: new Map<string, number>(),
      reads: null,
    } as unknown as WorkerLink;
    link.channel = new MessageChannel<ToWorker, ToHub>(socket, (message, attachment) => {
      checkToHub(message);
      this.#receive(link, message, attachment);
    });
    const { database } = this.#options;
    if (database !== null) {
      const inHub = { ...database, written: () => this.#board.bumpAll() };
      link.reads = new ReadServer(inHub, (message, attachment) => link.channel.send(message, attachment));
    }
    socket.data = link;
    this.#links.add(link);
  }

  /** Cuts off a worker whose messages are invalid; it connects again, or is replaced. */
  #takeChunk(socket: Socket<WorkerLink>, chunk: Buffer): void {
    try {
      socket.data.channel.data(chunk);
    } catch (error) {
      this.#options.log.error(
        `Hub: worker ${socket.data.workerId} sent what can't be read: ${messageOf(error)}; cutting it off`,
      );
      socket.terminate();
    }
  }

  #forget(link: WorkerLink): void {
    this.#links.delete(link);
    link.reads?.close();
    this.#lease.forget(link);
  }
}

/** Keeps an existing board, which the workers have mapped. */
function openBoard(runtimeDir: string): VersionBoard {
  const path = join(runtimeDir, BOARD_FILE);
  if (!existsSync(path)) createBoardFile(path);
  const board = new VersionBoard(path);
  // The last hub may have died between a commit and its bump.
  board.bumpAll();
  return board;
}

/** The database's state that every worker must know: it is lost, takes no saves, or lacks room. */
import type { LogLines } from "../observe/log.ts";
import type { StockWriter } from "../storage/contract.ts";
import type { ToWorker } from "./messages.ts";
import { SavesWatch } from "./saves-watch.ts";
import type { VersionBoard } from "./version-board.ts";
import type { WorkerLink, WorkerLinks } from "./worker-links.ts";

export interface DatabaseStateOptions {
  writer: StockWriter | null;
  links: WorkerLinks;
  board: VersionBoard;
  log: LogLines;
}

export class DatabaseState {
  /** Is told how commits went. */
  readonly watch: SavesWatch;
  readonly #options: DatabaseStateOptions;
  #lost: string | null = null;
  #roomLack: string | null = null;

  constructor(options: DatabaseStateOptions) {
    const { writer, links, log } = options;
    this.#options = options;
    this.watch = new SavesWatch({ writer, tell: (problem) => links.sendToAll(savesCondition(problem)), log });
  }

  /** Tells the state to a new worker. */
  tell({ channel }: WorkerLink): void {
    channel.send(diskCondition(this.#roomLack));
    channel.send({ type: "lost", reason: this.#lost });
    if (this.#options.writer !== null) channel.send(savesCondition(this.watch.problem));
  }

  /** Invalidates all kept answers if another program has changed the database. */
  lookForChanges(): void {
    const { writer, board } = this.#options;
    const changed = writer?.changedByOthers() ?? false;
    if (changed) board.bumpAll();
    this.watch.poll(changed);
  }

  lookForLoss(): void {
    const { writer, links, board, log } = this.#options;
    const now = writer?.lost?.() ?? null;
    if (now === this.#lost) return;
    if (now !== null) log.error(`The database is lost, and nothing is answered from it: ${now}`);
    else log.info("The database's file is there again");
    this.#lost = now;
    links.sendToAll({ type: "lost", reason: now });
    board.bumpAll();
  }

  lookForRoom(): void {
    const { writer, links } = this.#options;
    const now = writer?.roomLack?.() ?? null;
    if (now === this.#roomLack) return;
    this.#roomLack = now;
    links.sendToAll(diskCondition(now));
  }
}

function diskCondition(lack: string | null): ToWorker {
  return { type: "condition", name: "disk", reason: lack === null ? null : `${lack}; saves are refused` };
}

function savesCondition(problem: string | null): ToWorker {
  const reason = problem === null ? null : `the database takes no saves: ${problem}`;
  return { type: "condition", name: "database", reason };
}

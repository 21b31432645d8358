/** Clients that save as fast as they are answered, and keep books. */
import type { Books, TickerBook } from "./books.ts";
import { type Kind, type NumberedSave, requestFor } from "./numbered-saves.ts";
import { openSaveConnection, type SaveConnection } from "./save-connection.ts";
import type { Violations } from "./violations.ts";

/** A connection is given up after about so many saves, so that its writer meets every worker. */
const SAVES_A_CONNECTION = 400;
const PAUSE_MS = 50;
const SAVE_RECORDS_MAX = 20;
/**
 * Of the saves whose fate is unknown, this share is sent again; the bars are not, as those would be
 * another update.
 */
const SENT_AGAIN = 0.5;

/** Cumulative shares. */
const KIND_SHARES: [number, Kind][] = [
  [0.5, "trade"],
  [0.75, "quote"],
  [0.88, "bar"],
  [1, "depth"],
];

export class Writers {
  readonly #books: Books;
  readonly #violations: Violations;
  readonly #random: () => number;
  #stopping = false;
  #running: Promise<void>[] = [];
  #tickers = 0;

  constructor(books: Books, violations: Violations, random: () => number) {
    this.#books = books;
    this.#violations = violations;
    this.#random = random;
  }

  /** @param tickers that they may save to, of those in the books: the first ones. */
  start(ports: readonly number[], count: number, tickers: number): void {
    this.#tickers = tickers;
    this.#running = Array.from({ length: count }, (_, i) => this.#write(ports[i % ports.length]!));
  }

  /** From here on they save to one ticker more. @returns its name. */
  nextTicker(): string {
    return this.#books.tickers[this.#tickers++]!.ticker;
  }

  /** Resolves when every save is answered, or will never be. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  async #write(port: number): Promise<void> {
    let connection: SaveConnection | null = null;
    while (!this.#stopping) {
      const book = this.#pickTicker();
      const save = this.#books.begin(book, this.#pickKind(), this.#pickCount());
      for (;;) {
        connection ??= await this.#connect(port);
        if (connection === null) break;
        const isAnswered = await this.#send(connection, save);
        if (isAnswered) this.#books.answered(book, save);
        else book.uncertainSaves++;
        if (!isAnswered || this.#random() * SAVES_A_CONNECTION < 1) {
          connection.close();
          connection = null;
        }
        if (isAnswered || save.kind === "bar" || this.#random() >= SENT_AGAIN) break;
        await Bun.sleep(PAUSE_MS);
      }
    }
    connection?.close();
  }

  /** @returns null when it is told to stop before somebody listens. */
  async #connect(port: number): Promise<SaveConnection | null> {
    while (!this.#stopping) {
      try {
        return await openSaveConnection(port);
      } catch {
        // All workers are being replaced.
        await Bun.sleep(PAUSE_MS);
      }
    }
    return null;
  }

  async #send(connection: SaveConnection, save: NumberedSave): Promise<boolean> {
    try {
      const { status, body } = await connection.post(JSON.stringify(requestFor(save)));
      if (status === 200) return true;
      if (status === 503) await Bun.sleep(PAUSE_MS);
      else this.#complain(save, `${status} ${Buffer.from(body ?? []).toString()}`);
      return false;
    } catch {
      // The worker was killed before it answered.
      return false;
    }
  }

  #complain({ ticker, kind, first, count }: NumberedSave, answer: string): void {
    const what = `a save of ${count} ${kind}s from ${first} on was answered with ${answer.slice(0, 300)}`;
    this.#violations.add({ fault: "protocol", who: "a writer", ticker, what, frames: [] });
  }

  /**
   * The later a ticker is in the list, the less happens to it; the last one is quiet most of the
   * time.
   */
  #pickTicker(): TickerBook {
    return this.#books.tickers[Math.floor(this.#random() ** 2 * this.#tickers)]!;
  }

  #pickKind(): Kind {
    const at = this.#random();
    return KIND_SHARES.find(([share]) => at < share)![1];
  }

  /** Mostly one. */
  #pickCount(): number {
    return this.#random() < 0.85 ? 1 : 2 + Math.floor(this.#random() * (SAVE_RECORDS_MAX - 1));
  }
}

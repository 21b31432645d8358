/** Reads the update log back with get_updates, page by page, as any client could. */
import { command } from "../test/support/requests.ts";
import { readFrame } from "./frames.ts";
import type { Kind } from "./numbered-saves.ts";

export interface StoredUpdate {
  seq: number;
  kind: Kind;
  records: unknown[];
  text: string;
}

const PAGE_UPDATES = 5_000;
const TRIES = 20;
const PAUSE_MS = 250;

/**
 * All updates of the ticker, ascending.
 *
 * @throws Error it doesn't answer, or with something else.
 */
export async function* readStored(url: string, ticker: string): AsyncGenerator<StoredUpdate> {
  let after = 0;
  for (;;) {
    const page = await readPage(url, ticker, after);
    for (const frame of page) {
      const text = JSON.stringify(frame);
      const update = readFrame(JSON.parse(text));
      if (update.kind !== "update") throw new Error(`get_updates ${ticker} after ${after}: got ${text}`);
      after = update.seq;
      yield { seq: update.seq, kind: update.type, records: update.records, text };
    }
    if (page.length === 0) return;
  }
}

async function readPage(url: string, ticker: string, after: number): Promise<unknown[]> {
  for (let tries = 1; ; tries++) {
    const { status, body } = await command(url, "get_updates", { ticker, since: after, limit: PAGE_UPDATES });
    if (status === 200 && body.recovered === true) return body.updates;
    if (status !== 503 || tries === TRIES)
      throw new Error(`get_updates ${ticker} after ${after}: ${status} ${JSON.stringify(body)}`);
    await Bun.sleep(PAUSE_MS);
  }
}

/** The reads of a worker whose database is in the hub. */
import { iterate, type Pieces } from "../protocol/clients-pace.ts";
import { unavailable } from "../protocol/errors.ts";
import type { JsonRows, StockReader } from "../storage/contract.ts";
import type { ColumnBatch, ColumnQuery } from "../storage/model/columns.ts";
import type { StoredUpdate, UpdateReader } from "../storage/update-contract.ts";
import { within } from "../time/within.ts";
import { HubLostError, type HubReads, type Question, type ReadReply } from "./hub-reads.ts";
import type { SentColumnQuery, UpdateHeader } from "./messages.ts";
import { crossingOf, OF_UPDATES, READ_NAMES, type ReadName } from "./remote-reads.ts";
import { receivedColumns } from "./sent-columns.ts";

/** Long enough for a busy hub; a health check must soon learn that the database doesn't answer. */
const PROBE_WAIT_MS = 2_000;

export interface HubAccess {
  readonly reads: HubReads;
  /** Resolves when the hub is there, or has been lost for too long. */
  present(): Promise<void>;
}

/** Has the methods of the table in `remote-reads.ts`. */
export function hubReader(hub: HubAccess): StockReader {
  const reads: Record<string, unknown> = {};
  const updates: Record<string, unknown> = {};
  for (const name of READ_NAMES) {
    const method = (...args: unknown[]) => read(hub, name, args);
    if (name.startsWith(OF_UPDATES)) updates[name.slice(OF_UPDATES.length)] = method;
    else reads[name] = method;
  }
  return {
    ...(reads as unknown as Omit<StockReader, "updates" | "columns" | "close">),
    updates: updates as unknown as UpdateReader,
    columns: (query) => walk(hub, query),
    probe: () => probe(hub),
    close() {},
  };
}

async function read(hub: HubAccess, name: ReadName, args: unknown[]): Promise<unknown> {
  const { id, reply } = await ask(hub, { type: "read", name, args: args.filter(crosses) });
  const { message, bytes } = reply;
  switch (message.type) {
    case "value":
      return crossingOf(name) === "map" ? new Map(message.value as [unknown, unknown][]) : message.value;
    case "updates":
      return withFrames(message.updates, Buffer.from(bytes.buffer));
    case "empty":
      return { empty: true } satisfies JsonRows;
    case "piece":
      return {
        empty: false,
        ...(message.more
          ? { chunks: iterate(pieces(hub.reads, id, bytes)) }
          : { text: Buffer.from(bytes.buffer).toString("utf8") }),
      } satisfies JsonRows;
    default:
      throw new Error(`the hub answered ${name} with ${message.type}`);
  }
}

/** AbortSignals stay in the worker. */
function crosses(arg: unknown): boolean {
  return arg !== undefined && !(arg instanceof AbortSignal);
}

/** Tells the current state: doesn't wait for a hub that is being restarted. */
async function probe({ reads }: HubAccess): Promise<void> {
  const { reply } = reads.ask({ type: "read", name: "probe", args: [] });
  await within(reply, PROBE_WAIT_MS, () => {
    throw unavailable(`no answer for ${PROBE_WAIT_MS / 1_000} s`);
  });
}

/** Each batch is asked for while the one before is used. */
async function* walk(
  hub: HubAccess,
  { signal, onPositions, ...query }: ColumnQuery,
): AsyncGenerator<ColumnBatch> {
  const sent: SentColumnQuery = { ...query, withPositions: onPositions !== undefined };
  const { id, reply } = await ask(hub, { type: "read", name: "columns", args: [sent] }, signal);
  const cancel = (): void => hub.reads.cancel(id);
  signal?.addEventListener("abort", cancel);
  let isOver = false;
  try {
    for (let { message, bytes } = reply; ; ) {
      if (message.type !== "piece") throw new Error(`the hub answered columns with ${message.type}`);
      const { positions, columns, more } = message;
      if (positions !== undefined)
        onPositions?.({ epoch: positions.epoch, positions: new Map(positions.positions) });
      isOver = !more;
      if (isOver) return;
      const ahead = askAhead(hub.reads, id);
      yield receivedColumns(columns!, bytes);
      ({ message, bytes } = await ahead);
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (!isOver) cancel();
  }
}

async function ask(
  hub: HubAccess,
  question: Question,
  signal?: AbortSignal,
): Promise<{ id: number; reply: ReadReply }> {
  const askOnce = async (): Promise<{ id: number; reply: ReadReply }> => {
    await hub.present();
    const { id, reply } = hub.reads.ask(question, signal);
    return { id, reply: await reply };
  };
  try {
    return await askOnce();
  } catch (error) {
    // Repeated only once: the hub may have died of this question.
    if (error instanceof HubLostError) return askOnce();
    throw error;
  }
}

function withFrames(headers: UpdateHeader[], frames: Buffer): StoredUpdate[] {
  let offset = 0;
  return headers.map(([position, type, savedAtMs, bytes]) => {
    const frame = frames.toString("utf8", offset, offset + bytes);
    offset += bytes;
    return { position, type, savedAtMs, frame };
  });
}

/**
 * The pieces of an answer that has more than one. Each is asked for while the one before travels to
 * the client, so that the hub prepares it meanwhile.
 */
export function pieces(reads: HubReads, id: number, first: Uint8Array): Pieces {
  let waiting: Uint8Array | null = first;
  let ahead: Promise<ReadReply> | null = askAhead(reads, id);
  return {
    async next() {
      const piece = waiting;
      waiting = null;
      if (piece !== null || ahead === null) return piece;
      const { message, bytes } = await ahead;
      const isMore = ahead !== null && message.type === "piece" && message.more;
      ahead = isMore ? askAhead(reads, id) : null;
      return isMore ? bytes : null;
    },
    cancel() {
      if (ahead !== null) reads.cancel(id);
      ahead = null;
    },
  };
}

/** `next()` throws the failure; until then it must not count as unhandled. */
function askAhead(reads: HubReads, id: number): Promise<ReadReply> {
  const reply = reads.next(id);
  reply.catch(() => null);
  return reply;
}

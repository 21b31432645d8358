/**
 * Checks the shape of messages on the hub's socket. Only the server's own processes send there, but
 * one that is faulty, or of another version after an upgrade, must not end the hub for all.
 */
import type { FeedsCounted } from "../feeds/feed.ts";
import type { Edit, NoteChange } from "../storage/contract.ts";
import { isKindName, kindOf } from "../storage/model/kinds.ts";
import type { CommittedEntry, SaveEntry, ToHub } from "./messages.ts";
import { isReadName } from "./remote-reads.ts";

const ON_DUPLICATE = [
  ...["replace", "keep", "merge", "complete", "rollup", "error"],
  ...["match", "request", "append"],
];

/** The sender can't be trusted any more: its connection is closed. */
export class BadMessageError extends Error {
  override readonly name = "BadMessageError";
}

type MemberType = "list" | "number" | "object" | "text";

const ONLY_ID = { id: "number" } as const;
const ID_AND_TICKER = { id: "number", ticker: "text" } as const;
/** The members that the hub relies on. */
const MEMBERS: Record<ToHub["type"], Record<string, MemberType>> = {
  saves: { saves: "list", frameBytes: "number" },
  committed: { updates: "list" },
  hello: { workerId: "number", sockets: "list", feeds: "object" },
  feeds: { counted: "object" },
  subscribe: ID_AND_TICKER,
  removeCheck: ID_AND_TICKER,
  edit: { id: "number", edit: "object" },
  unsubscribe: { ticker: "text" },
  removed: { ticker: "text" },
  admit: { id: "number", holder: "text", max: "number" },
  entered: { holder: "text" },
  left: { holder: "text" },
  bus: { channel: "text" },
  read: { id: "number", args: "list" },
  ping: ONLY_ID,
  lease: ONLY_ID,
  release: ONLY_ID,
  busFigures: ONLY_ID,
  sql: ONLY_ID,
  next: ONLY_ID,
  cancel: ONLY_ID,
};

/** @throws BadMessageError with what is wrong. The database refuses bad values within rows. */
export function checkToHub(message: ToHub): void {
  expect(message, "object", "a message");
  const { type } = message;
  if (!Object.hasOwn(MEMBERS, type)) throw new BadMessageError(`an unknown message: ${JSON.stringify(type)}`);
  for (const [name, expected] of Object.entries(MEMBERS[type]))
    expect((message as unknown as Record<string, unknown>)[name], expected, name);
  if (message.type === "saves") message.saves.forEach(checkSave);
  else if (message.type === "committed") message.updates.forEach(checkCommitted);
  else if (message.type === "edit") checkEdit(message.edit);
  else if (message.type === "hello") checkHello(message);
  else if (message.type === "feeds") checkFeeds(message.counted);
  else if (message.type === "read" && !isReadName(message.name))
    throw new BadMessageError("a read of an unknown name");
}

function checkHello({ sockets, feeds }: Extract<ToHub, { type: "hello" }>): void {
  sockets.forEach(checkHolder);
  checkFeeds(feeds);
  expect(feeds.sinceMs, "number", "the beginning of feeds");
  expect(feeds.staleTimes, "object", "numbers of stale feeds");
}

function checkFeeds({ feeds, writers, leftOut }: Omit<FeedsCounted, "renamed">): void {
  expect(leftOut, "number", "feeds that were left out");
  expect(feeds, "list", "feeds");
  expect(writers, "list", "writers");
  for (const feed of feeds) {
    expect(feed, "object", "a feed");
    expect(feed.ticker, "text", "a feed's ticker");
    expect(feed.type, "text", "a feed's type");
    expect(feed.rows, "number", "a feed's rows");
  }
  for (const writer of writers) {
    expect(writer, "object", "a writer");
    expect(writer.who, "text", "a writer's key");
  }
}

function checkHolder(entry: [holder: string, sockets: number]): void {
  expect(entry, "list", "an address or key");
  expect(entry[0], "text", "an address or key");
  expect(entry[1], "number", "the sockets of an address or key");
}

function checkSave(entry: SaveEntry): void {
  expect(entry, "list", "a save");
  const [id, save, frameLength, columns] = entry;
  expect(id, "number", "a save's id");
  expect(frameLength, "number", "a save's frame");
  expect(save, "object", "a save");
  if (!isKindName(save.kind)) throw new BadMessageError("a save of an unknown kind");
  const kind = kindOf(save.kind);
  expect(save.ticker, "text", "a save's ticker");
  const parts = save.kind === "ticks" ? undefined : save.parts;
  if (parts !== undefined) checkParts(parts, save);
  else if (kind.part !== null) expect(save.part, "text", `a save's ${kind.part}`);
  if (!ON_DUPLICATE.includes(save.onDuplicate))
    throw new BadMessageError("a save with an unknown onDuplicate");
  if (columns === undefined) checkRows(save);
  else expect(columns, "list", "a save's columns");
  if (save.kind !== "ticks") checkNote(save.note);
  if (save.together !== undefined) expect(save.together, "text", "a save's group");
  if (save.update === undefined) return;
  expect(save.update, "object", "a save's update");
  expect(save.update.saveId, "text", "a save's saveId");
  if (save.update.request !== undefined) expect(save.update.request.key, "text", "a request's key");
}

function checkNote(note: NoteChange | undefined): void {
  if (note === undefined) return;
  expect(note, "object", "a note");
  expect(note.name, "text", "a note's name");
  expect(note.to, "text", "a note's text");
  if (note.from !== null) expect(note.from, "text", "a note's text before");
}

function checkRows(save: SaveEntry[1]): void {
  const kind = kindOf(save.kind);
  expect(save.rows, "list", "a save's rows");
  const members = 1 + kind.values.length + (kind.hasSeq ? 1 : 0);
  // Values at the end may be missing, but the last of a tick is its seq.
  const isLong = (row: unknown[]): boolean =>
    kind.hasSeq ? row.length === members : row.length > 1 && row.length <= members;
  for (const row of save.rows)
    if (!Array.isArray(row) || !isLong(row) || typeof row[0] !== "string")
      throw new BadMessageError(`a row of a save is no list of a stamp and ${members - 1} values`);
}

function checkEdit(edit: Edit): void {
  expect(edit.ticker, "text", "an edit's ticker");
  expect(edit.identity, "object", "an edit's identity");
  expect(edit.identity.saveId, "text", "an edit's saveId");
  checkNote(edit.note);
  if (edit.what === "renaming") expect(edit.newTicker, "text", "a renaming's new ticker");
  else if (edit.what !== "removal" || !isKindName(edit.kind))
    throw new BadMessageError("an edit that is no renaming, and no removal of a known kind");
  else if (edit.ids !== null) expect(edit.ids, "list", "a removal's ids");
}

/** One that refuses would have to be refused as a whole. */
function checkParts(parts: readonly string[], { rows, onDuplicate }: SaveEntry[1]): void {
  expect(parts, "list", "a save's parts");
  for (const part of parts) expect(part, "text", "a part of a save");
  if (parts.length !== rows?.length) throw new BadMessageError("a save has other numbers of parts and rows");
  if (onDuplicate !== "replace" && onDuplicate !== "keep")
    throw new BadMessageError(`a save of several parts that is to ${JSON.stringify(onDuplicate)}`);
}

function checkCommitted(entry: CommittedEntry): void {
  expect(entry, "list", "an update");
  const [ticker, update] = entry;
  expect(ticker, "text", "an update's ticker");
  expect(update, "object", "an update");
  expect(update.position, "number", "an update's position");
  expect(update.type, "text", "an update's type");
  expect(update.frame, "text", "an update's frame");
}

function expect(value: unknown, type: MemberType, what: string): void {
  if (typeOf(value) !== type) throw new BadMessageError(`${what}: expected ${type}`);
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (typeof value === "string") return "text";
  return value === null ? "null" : typeof value;
}

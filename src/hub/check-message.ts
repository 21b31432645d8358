/**
 * Checks the shape of messages on the hub's socket. Only the server's own processes send there, but
 * one that is faulty, or of another version after an upgrade, must not end the hub for all.
 */
import { isKindName, kindOf } from "../storage/model/kinds.ts";
import type { CommittedEntry, SaveEntry, ToHub } from "./messages.ts";
import { isReadName } from "./remote-reads.ts";

const ON_DUPLICATE = ["replace", "keep", "error", "append"];

/** The sender can't be trusted any more: its connection is closed. */
export class BadMessageError extends Error {
  override readonly name = "BadMessageError";
}

/** @throws BadMessageError with what is wrong. The database refuses bad values within rows. */
export function checkToHub(message: ToHub): void {
  if (typeof message !== "object" || message === null) throw new BadMessageError("a message is no object");
  switch (message.type) {
    case "saves":
      expectArray(message.saves, "saves");
      for (const entry of message.saves) checkSave(entry);
      return;
    case "committed":
      expectArray(message.updates, "updates");
      for (const entry of message.updates) checkCommitted(entry);
      return;
    case "hello":
      expectNumber(message.workerId, "workerId");
      expectArray(message.addresses, "addresses");
      for (const entry of message.addresses) {
        expectArray(entry, "an address");
        expectText(entry[0], "an address");
        expectNumber(entry[1], "an address's sockets");
      }
      return;
    case "subscribe":
    case "removeCheck":
      expectNumber(message.id, "id");
      expectText(message.ticker, "ticker");
      return;
    case "unsubscribe":
    case "removed":
      expectText(message.ticker, "ticker");
      return;
    case "admit":
      expectNumber(message.id, "id");
      expectText(message.address, "address");
      return;
    case "left":
      expectText(message.address, "address");
      return;
    case "bus":
      expectText(message.channel, "channel");
      return;
    case "ping":
    case "lease":
    case "release":
    case "busFigures":
    case "sql":
    case "next":
    case "cancel":
      expectNumber(message.id, "id");
      return;
    case "read":
      expectNumber(message.id, "id");
      if (!isReadName(message.name)) throw new BadMessageError("a read of an unknown name");
      expectArray(message.args, "a read's args");
      return;
    default:
      refuseUnknown(message);
  }
}

/** @param message of a type without a case: for the compiler there is none. */
function refuseUnknown(message: never): never {
  throw new BadMessageError(`an unknown message: ${JSON.stringify((message as { type?: unknown }).type)}`);
}

function checkSave(entry: SaveEntry): void {
  expectArray(entry, "a save");
  const [id, save, frameBytes] = entry;
  expectNumber(id, "a save's id");
  expectNumber(frameBytes, "a save's frame");
  if (typeof save !== "object" || save === null) throw new BadMessageError("a save is no object");
  if (!isKindName(save.kind)) throw new BadMessageError("a save of an unknown kind");
  const kind = kindOf(save.kind);
  expectText(save.ticker, "a save's ticker");
  if (kind.part !== null) expectText(save.part, `a save's ${kind.part}`);
  if (!ON_DUPLICATE.includes(save.onDuplicate))
    throw new BadMessageError("a save with an unknown onDuplicate");
  expectArray(save.rows, "a save's rows");
  const members = 1 + kind.values.length + (kind.hasSeq ? 1 : 0);
  for (const row of save.rows)
    if (!Array.isArray(row) || row.length !== members || typeof row[0] !== "string")
      throw new BadMessageError(`a row of a save is no list of a stamp and ${members - 1} values`);
  if (save.update === undefined) return;
  if (typeof save.update !== "object" || save.update === null)
    throw new BadMessageError("a save's update is no object");
  expectText(save.update.saveId, "a save's saveId");
}

function checkCommitted(entry: CommittedEntry): void {
  expectArray(entry, "an update");
  const [ticker, update] = entry;
  expectText(ticker, "an update's ticker");
  if (typeof update !== "object" || update === null) throw new BadMessageError("an update is no object");
  expectNumber(update.position, "an update's position");
  expectText(update.type, "an update's type");
  expectText(update.frame, "an update's frame");
}

function expectArray(value: unknown, what: string): void {
  if (!Array.isArray(value)) throw new BadMessageError(`${what}: expected a list`);
}

function expectNumber(value: unknown, what: string): void {
  if (typeof value !== "number") throw new BadMessageError(`${what}: expected a number`);
}

function expectText(value: unknown, what: string): void {
  if (typeof value !== "string") throw new BadMessageError(`${what}: expected a text`);
}

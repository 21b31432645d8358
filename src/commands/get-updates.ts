/** get_updates: what was saved for a ticker after a position or a moment, as its subscribers saw it. */
import { parseTimestamp, TimestampError } from "../market/timestamp.ts";
import { badRequest } from "../protocol/errors.ts";
import { positioned } from "../protocol/frames.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { StoredUpdate, UpdateLimit, UpdateReader } from "../storage/update-contract.ts";
import type { Command } from "./context.ts";
import { readLimit, requireTicker, show } from "./params.ts";

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;
/** Of the frames of one answer; a longer one comes alone. */
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** A position, or a moment in ms since 1970. */
type Since = { position: number } | { timeMs: number };

type Code = "epoch_changed" | "not_kept" | "position_ahead";

const REASONS: Record<Code, string> = {
  epoch_changed: "the positions of that epoch are not those of this database",
  not_kept: "the updates after it are no longer kept",
  position_ahead: "the ticker has no such position yet",
};

export const getUpdates: Command = {
  name: "get_updates",
  about:
    "The updates of a ticker after a position or from a moment on, each with its position, oldest first.",
  async run({ params }, { reader: { updates } }) {
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    const limit = {
      updates: readLimit(params.limit, LIMIT_DEFAULT, LIMIT_MAX),
      characters: readCharacters(params.characters),
    };
    if (params.stored === true) return storedUpdates(updates, ticker, readPosition(params.since), limit);
    const since = readSince(params.since);
    const epoch = await updates.epoch();
    const head = `{"epoch":${JSON.stringify(epoch)},"ticker":${JSON.stringify(ticker)},"seq":`;
    const { seq, found } = await findUpdates(updates, ticker, limit, since, isOther(params.epoch, epoch));
    if (typeof found === "string") {
      const reason = JSON.stringify(REASONS[found]);
      return `${head}${seq},"recovered":false,"code":"${found}","reason":${reason},"updates":[]}`;
    }
    return `${head}${seq},"recovered":true,"updates":[${found.map((update) => positioned(update.frame, update.seq)).join(",")}]}`;
  },
};

async function findUpdates(
  updates: UpdateReader,
  ticker: string,
  limit: UpdateLimit,
  since: Since,
  isOtherEpoch: boolean,
): Promise<{ seq: number; found: StoredUpdate[] | Code }> {
  const seq = (await updates.positions([ticker])).get(ticker) ?? 0;
  if (isOtherEpoch) return { seq, found: "epoch_changed" };
  const after = "position" in since ? since.position : await positionBefore(updates, ticker, since.timeMs);
  if (after === null) return { seq, found: "not_kept" };
  if (after > seq) return { seq, found: "position_ahead" };
  const stored = await updates.after(ticker, after, limit);
  const [first] = stored;
  if (first === undefined ? after < seq : first.seq !== after + 1 || first.frame === "") {
    return { seq, found: "not_kept" };
  }
  const end = stored.findIndex(({ frame }) => frame === "");
  const found = end < 0 ? stored : stored.slice(0, end);
  return { seq: Math.max(seq, found.at(-1)?.seq ?? 0), found };
}

/** For a server in front of this one: as the log has them, whatever may be missing. An empty frame is one that isn't kept. */
async function storedUpdates(
  updates: UpdateReader,
  ticker: string,
  after: number,
  limit: UpdateLimit,
): Promise<string> {
  const found = await updates.after(ticker, after, limit);
  const members = found.map(({ seq, type, savedAtMs, frame }) =>
    JSON.stringify({ seq, type, saved_at: savedAtMs, frame }),
  );
  return `{"ticker":${JSON.stringify(ticker)},"updates":[${members.join(",")}]}`;
}

function isOther(asked: unknown, epoch: string): boolean {
  if (asked === undefined || asked === null || asked === "") return false;
  if (typeof asked !== "string") throw badRequest(`epoch: got ${show(asked)}, expected text`);
  return asked !== epoch;
}

function readPosition(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw badRequest(`since: got ${show(value)}, expected a position, a whole number from 0`);
}

function readSince(value: unknown): Since {
  if (typeof value === "number") return { position: readPosition(value) };
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return { position: Number(value) };
  try {
    const stamp = typeof value === "string" ? parseTimestamp(value) : null;
    if (stamp !== null) return { timeMs: Date.parse(`${stamp.replace(" ", "T")}Z`) };
  } catch (error) {
    if (error instanceof TimestampError) throw badRequest(`since: ${error.message}`);
    throw error;
  }
  throw badRequest(`since: got ${show(value)}, expected a position, a whole number from 0, or a time`);
}

/** A server in front passes its own bound on. */
function readCharacters(value: unknown): number {
  if (value === undefined || value === null) return CHARACTERS_MAX;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1)
    return Math.min(value, CHARACTERS_MAX);
  throw badRequest(`characters: got ${show(value)}, expected a whole number from 1`);
}

import { badRequest } from "../protocol/errors.ts";
import { positioned } from "../protocol/frames.ts";
import { firstHole, type Hole } from "../storage/holes.ts";
import { positionBefore } from "../storage/position-at.ts";
import type { Since, StoredUpdate, UpdateLimit, UpdateReader } from "../storage/update-contract.ts";
import type { Command } from "./context.ts";
import { readEpoch, readLimit, requireTicker, show } from "./params.ts";
import { readSince } from "./since.ts";

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;
/** For all frames of an answer. A single frame may be longer. */
const CHARACTERS_MAX = 4 * 1024 * 1024;

type Code = "epoch_changed" | "not_kept" | "position_ahead";

const REASONS: Record<Code, string> = {
  epoch_changed: "the positions of that epoch are not those of this database",
  not_kept: "not every update after it is kept",
  position_ahead: "the ticker has no such position yet",
};

export const getUpdates: Command = {
  name: "get_updates",
  scope: "read",
  about:
    "The updates of a ticker after a position or from a moment on, each with its position, oldest first.",
  params: ["ticker", "since", "epoch", "limit"],
  tolerated: ["stored", "characters"],
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
    const { position, found, code, hole } = await findUpdates(
      updates,
      ticker,
      limit,
      since,
      isOther(params.epoch, epoch),
    );
    const frames = found.map((update) => positioned(update.frame, update.position)).join(",");
    const why =
      code === undefined
        ? '"recovered":true'
        : `"recovered":false,"code":"${code}","reason":${JSON.stringify(REASONS[code])}`;
    const gap = hole === undefined ? "" : `,"gap":{"from":${hole.from},"to":${hole.to}}`;
    return `${head}${position},${why}${gap},"updates":[${frames}]}`;
  },
};

interface Found {
  /** The newest position. */
  position: number;
  /** Updates before the hole, if there is one. */
  found: StoredUpdate[];
  code?: Code;
  hole?: Hole;
}

async function findUpdates(
  updates: UpdateReader,
  ticker: string,
  limit: UpdateLimit,
  since: Since,
  isOtherEpoch: boolean,
): Promise<Found> {
  const position = (await updates.positions([ticker])).get(ticker) ?? 0;
  if (isOtherEpoch) return { position, found: [], code: "epoch_changed" };
  const after = "position" in since ? since.position : await positionBefore(updates, ticker, since.timeMs);
  if (after === null) return { position, found: [], code: "not_kept" };
  if (after > position) return { position, found: [], code: "position_ahead" };
  const stored = await updates.after(ticker, after, limit);
  const newest = Math.max(position, stored.at(-1)?.position ?? 0);
  const hole = firstHole(after, stored, newest);
  if (hole === null) return { position: newest, found: stored };
  return {
    position: newest,
    found: stored.filter((update) => update.position < hole.from),
    code: "not_kept",
    hole,
  };
}

/** For a server in front: log entries as they are, with holes. A frame not kept is empty. */
async function storedUpdates(
  updates: UpdateReader,
  ticker: string,
  after: number,
  limit: UpdateLimit,
): Promise<string> {
  const found = await updates.after(ticker, after, limit);
  const members = found.map(({ position, type, savedAtMs, frame }) =>
    JSON.stringify({ seq: position, type, saved_at: savedAtMs, frame }),
  );
  return `{"ticker":${JSON.stringify(ticker)},"updates":[${members.join(",")}]}`;
}

function isOther(requested: unknown, epoch: string): boolean {
  const given = readEpoch(requested);
  return given !== null && given !== "" && given !== epoch;
}

function readPosition(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw badRequest(`since: got ${show(value)}, expected a position, a whole number from 0`);
}

/** A server in front passes its own bound on. */
function readCharacters(value: unknown): number {
  if (value === undefined || value === null) return CHARACTERS_MAX;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1)
    return Math.min(value, CHARACTERS_MAX);
  throw badRequest(`characters: got ${show(value)}, expected a whole number from 1`);
}

/** Frames of one shape, whoever saved: see docs/live-updates.md, "Normalized frames". */
import { normalizedUpdate } from "../commands/normalized-update.ts";
import { type FrameForm, feedMembers, type Heartbeat } from "../stream/frame-form.ts";
import { normalizedSnapshot } from "../stream/snapshot-json.ts";

/** Null where a replay tells it: rows of history have none. */
interface At {
  position: number | null;
  epoch: string | null;
}

export const NORMALIZED: FrameForm = {
  key: "n",
  beatsOnce: true,
  update: (ticker, { frame, position }, epoch) => updateText(ticker, frame, { position, epoch }),
  price: (ticker, price, now, { seq, epoch }) =>
    told("price", ticker, { position: seq, epoch }, `,"timestamp":"${now.toISOString()}","price":${price}`),
  snapshot: (ticker, snapshot, epoch) =>
    told(
      "snapshot",
      ticker,
      { position: snapshot.position, epoch },
      `,${normalizedSnapshot(snapshot).slice(1, -1)}`,
    ),
  recovered: (ticker, from, to, epoch) =>
    told("recovery", ticker, { position: from - 1, epoch }, `,"recovered":true,"from":${from},"to":${to}`),
  notRecovered: (ticker, { code, reason }, snapshot, epoch) =>
    told(
      "recovery",
      ticker,
      { position: snapshot.position, epoch },
      `,"recovered":false,"code":"${code}","reason":${JSON.stringify(reason)}` +
        `,"snapshot":${normalizedSnapshot(snapshot)}`,
    ),
  gap: (ticker, { from, to }, reason, epoch) =>
    told("gap", ticker, { position: to, epoch }, `,"from":${from},"to":${to},"reason":"${reason}"`),
  feed: (notice, now) => {
    const { type, ...members } = feedMembers(notice, now);
    return JSON.stringify({ type, ticker: notice.ticker, ...members });
  },
  feedsLeftOut: (leftOut) => JSON.stringify({ type: "feeds_left_out", ...leftOut }),
  heartbeat: (ticker, position, beat) => beatText({ ...beat, positions: [[ticker, position]] }),
  heartbeats: beatText,
};

/** @param frame of a row of history, as live subscribers would have got it. */
export function normalizedRow(ticker: string, frame: string): string {
  return updateText(ticker, frame, { position: null, epoch: null });
}

/** Of a replay, whose time it is. */
export function normalizedReplayBeat(now: Date): string {
  return `{"type":"heartbeat","timestamp":"${now.toISOString()}","epoch":null,"positions":{}}`;
}

export function normalizedReplayEnd(ticker: string, timestamp: string, updates: number): string {
  return told(
    "replay_end",
    ticker,
    { position: null, epoch: null },
    `,"timestamp":"${timestamp}","updates":${updates}`,
  );
}

function updateText(ticker: string, frame: string, at: At): string {
  const { type, members } = normalizedUpdate(frame);
  return told(type, ticker, at, members);
}

/** @param members in JSON, with a comma before each. */
function told(type: string, ticker: string, { position, epoch }: At, members: string): string {
  return (
    `{"type":"${type}","ticker":${JSON.stringify(ticker)},"position":${position}` +
    `,"epoch":${JSON.stringify(epoch)}${members}}`
  );
}

function beatText({ now, positions, epoch, isVerified }: Heartbeat): string {
  const named = [...positions].map(([ticker, position]) => `${JSON.stringify(ticker)}:${position}`).join(",");
  const unverified = isVerified ? "" : ',"unverified":true';
  return (
    `{"type":"heartbeat","timestamp":"${now.toISOString()}","epoch":"${epoch}"${unverified}` +
    `,"positions":{${named}}}`
  );
}

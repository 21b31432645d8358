/**
 * `stock-db-server replay`: ticks of files or of a database into a running server, as if they
 * happened now.
 */
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import { mergeByTime } from "../replay/merge-by-time.ts";
import { openToRead } from "../storage/engines.ts";
import { readOptions } from "./flags.ts";
import { serverTarget } from "./import/server-target.ts";
import { openSource } from "./import/source.ts";
import { INTERRUPTED, runInterruptibly } from "./interruption.ts";
import { formatCount, silentProgress, startProgress } from "./progress.ts";
import { csvTicks } from "./replay/csv-ticks.ts";
import { parseReplayOptions, REPLAY_HELP, type ReplayOptions } from "./replay/options.ts";
import { type PlayResult, playTicks } from "./replay/play-ticks.ts";
import { storedTicks } from "./replay/stored-ticks.ts";
import type { ReplayTick } from "./replay/tick.ts";

/** Timers are not more exact than this. */
const BEHIND_SHOWN_FROM_MS = 100;

/**
 * @returns The exit code: 0 all ticks are saved, 1 the replay stopped, 2 wrong usage, 130
 * interrupted.
 */
export async function runReplay(argv: string[]): Promise<number> {
  const options = readOptions(() => parseReplayOptions(argv), REPLAY_HELP);
  if (typeof options === "number") return options;
  return await runInterruptibly(async (signal) => {
    const startedAt = performance.now();
    try {
      const result = await play(options, signal);
      report(options, result, (performance.now() - startedAt) / 1_000);
      return result.stoppedBy;
    } catch (error) {
      console.error(`replay: ${withoutSecrets(messageOf(error), options)}`);
      return messageOf(error);
    }
  });
}

/** @throws Error the source can't be opened. */
async function play(options: ReplayOptions, signal: AbortSignal): Promise<PlayResult> {
  const { streams, close } = await openStreams(options);
  try {
    return await playTicks({
      ...options,
      ticks: mergeByTime(streams),
      target: serverTarget({ url: options.serverUrl, signal }),
      progress: options.quiet ? silentProgress : startProgress(process.stderr),
      signal,
    });
  } finally {
    await close();
  }
}

interface Streams {
  streams: AsyncIterable<ReplayTick[]>[];
  close(): void | Promise<void>;
}

async function openStreams(options: ReplayOptions): Promise<Streams> {
  const { source, start, end } = options;
  if ("files" in source) {
    const opened = await Promise.all(
      source.files.map(async (file) => ({ file, source: await openSource(file.path) })),
    );
    return { streams: opened.map(({ file, source }) => csvTicks(source, file)), close() {} };
  }
  const reader = await openToRead(source.dbFile);
  if (reader === null) throw new Error(`there is no database ${redact(source.dbFile)}`);
  try {
    const { tickers, types } = source;
    const streams = await storedTicks({ reader, tickers, types, start, end });
    return { streams, close: () => reader.close() };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function report(options: ReplayOptions, result: PlayResult, seconds: number): void {
  const target = redact(options.serverUrl);
  const stoppedBy = result.stoppedBy === null ? null : withoutSecrets(result.stoppedBy, options);
  if (stoppedBy !== null && stoppedBy !== INTERRUPTED) console.error(`replay: ${stoppedBy}`);
  if (options.json) {
    console.log(JSON.stringify({ ok: stoppedBy === null, target, seconds, ...result, stoppedBy }));
    return;
  }
  const types = Object.entries(result.types).map(([type, count]) => `${formatCount(count)} ${type}`);
  const span = result.first === null ? "" : `, from ${result.first} to ${result.last}`;
  const played = types.length === 0 ? "" : ` of ${types.join(", ")}${span}`;
  const behind =
    result.behindMaxMs < BEHIND_SHOWN_FROM_MS
      ? ""
      : `; at most ${(result.behindMaxMs / 1_000).toFixed(1)} s late`;
  const line =
    `${formatCount(result.ticks)} tick${result.ticks === 1 ? "" : "s"} saved in ${target}${played}; ` +
    `${formatCount(result.requests)} requests, ${seconds.toFixed(1)} s${behind}`;
  console.log(stoppedBy === null ? line : `stopped: ${line}`);
}

/** A driver's message may name the database as given, with its password. */
function withoutSecrets(message: string, { source }: ReplayOptions): string {
  return "dbFile" in source ? message.replaceAll(source.dbFile, redact(source.dbFile)) : message;
}

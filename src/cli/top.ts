/** `stock-db-server top`: what a running server does, and who is connected. */
import { redact } from "../config/redact.ts";
import { sleep } from "../time/pauses.ts";
import { readOptions } from "./flags.ts";
import { runInterruptibly } from "./interruption.ts";
import { type Look, lookAt, type Rates, ratesBetween, TopError } from "./top/look.ts";
import { parseTopOptions, TOP_HELP, type TopOptions } from "./top/options.ts";
import { pageOf } from "./top/page.ts";

/** The screen that programs have beside the one with the user's lines. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const TO_END_OF_LINE = "\x1b[K";
const TO_END_OF_SCREEN = "\x1b[J";
const ONCE_S = 1;

/** @returns the exit code: 0 ended as asked, 1 the server can't be asked, 2 wrong usage. */
export async function runTop(argv: string[]): Promise<number> {
  const options = readOptions(() => parseTopOptions(argv), TOP_HELP);
  if (typeof options === "number") return options;
  const { isTTY } = process.stdout;
  const once = options.once || (!isTTY && !options.json);
  const isScreen = isTTY && !once && !options.json;
  try {
    // Ctrl-C is the ordinary end.
    return await runInterruptibly(async (signal) => {
      if (isScreen) await onScreen(options, signal);
      else await inLines({ ...options, once }, signal);
      return null;
    });
  } catch (error) {
    if (!(error instanceof TopError)) throw error;
    console.error(`top: ${error.message}`);
    return 1;
  }
}

async function onScreen(options: TopOptions, signal: AbortSignal): Promise<void> {
  // Also where a second signal ends the process at once.
  const leave = (): void => void process.stdout.write(LEAVE);
  process.once("exit", leave);
  process.stdout.write(`${ENTER}${redact(options.url)} …`);
  try {
    for await (const { look, rates } of looks(options, signal)) {
      const { columns = 80, rows = 24 } = process.stdout;
      const lines = pageOf(redact(options.url), look, rates).slice(0, rows - 1);
      const shown = lines.map((line) => [...line].slice(0, columns).join("") + TO_END_OF_LINE);
      process.stdout.write(`${HOME}${shown.join("\n")}\n${TO_END_OF_SCREEN}`);
    }
  } finally {
    process.off("exit", leave);
    leave();
  }
}

async function inLines(options: TopOptions, signal: AbortSignal): Promise<void> {
  const { url, once, json } = options;
  for await (const { look, rates } of looks(once ? { ...options, everyS: ONCE_S } : options, signal)) {
    if (json) console.log(JSON.stringify(shownAsJson(redact(url), look, rates)));
    else console.log(pageOf(redact(url), look, rates).join("\n"));
    if (once) return;
  }
}

/** Each with what has happened since the one before it. @throws TopError */
async function* looks(
  { url, everyS }: TopOptions,
  signal: AbortSignal,
): AsyncGenerator<{ look: Look; rates: Rates }> {
  let before = await unlessEnded(url, signal);
  while (before !== null) {
    await sleep(everyS * 1_000, signal);
    const look = await unlessEnded(url, signal);
    if (look !== null) yield { look, rates: ratesBetween(before, look) };
    before = look;
  }
}

/** Null: the user has ended it meanwhile, which breaks off what was asked. */
async function unlessEnded(url: string, signal: AbortSignal): Promise<Look | null> {
  if (signal.aborted) return null;
  try {
    return await lookAt(url, signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function shownAsJson(url: string, { metrics, list }: Look, rates: Rates): object {
  return {
    at: new Date().toISOString(),
    url,
    rates: { ...rates, requests: Object.fromEntries(rates.requests) },
    commitQueue: metrics.get("stock_db_commit_queue") ?? 0,
    ...list,
  };
}

/** `stock-db-server check`: tests a running server from outside, part by part. */

import { redact } from "../config/redact.ts";
import { type CheckConsole, openConsole, silentConsole } from "./check/console.ts";
import { type LiveUpdatesReport, measureLiveUpdates, ThrowAwayTicker } from "./check/live-updates.ts";
import { type LoadReport, measureLoad } from "./check/load.ts";
import { CHECK_HELP, type CheckOptions, parseCheckOptions } from "./check/options.ts";
import {
  askHealth,
  askReady,
  CheckFailure,
  type HealthAnswer,
  RefusedFailure,
} from "./check/server-under-check.ts";
import { readOptions } from "./flags.ts";

/** What `--json` prints. A part that was not reached is null. */
export interface CheckReport {
  url: string;
  ok: boolean;
  failed: string[];
  warnings: string[];
  health: HealthAnswer | null;
  load: LoadReport | null;
  liveUpdates: LiveUpdatesReport | null;
  rowsReadBack: number | null;
  rowsRemoved: boolean | null;
}

/** A worker whose fair share is this many requests gets none once in 160,000 times: it is ill. */
const FAIR_SHARE_MIN = 12;
/** As shells report it: 128 and the signal's number. */
const EXIT_BY_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const ENDING_SIGNALS = Object.keys(EXIT_BY_SIGNAL) as (keyof typeof EXIT_BY_SIGNAL)[];

/** @returns the exit code: 0 only if all is well. */
export async function runCheck(argv: string[]): Promise<number> {
  const options = readOptions(() => parseCheckOptions(argv), CHECK_HELP);
  if (typeof options === "number") return options;
  const report = await checkServer(options, options.json ? silentConsole : openConsole(process.stdout));
  if (options.json) console.log(JSON.stringify(report, null, 2));
  return report.ok ? 0 : 1;
}

async function checkServer(options: CheckOptions, show: CheckConsole): Promise<CheckReport> {
  const report: CheckReport = {
    url: redact(options.url),
    ok: false,
    failed: [],
    warnings: [],
    health: null,
    load: null,
    liveUpdates: null,
    rowsReadBack: null,
    rowsRemoved: null,
  };
  const parts = new PartRunner(report, show);
  show.say(`Checking ${redact(options.url)}`);

  if (options.readyOnly) await parts.run("ready", () => checkReady(options.url, parts));
  else await parts.run("connectivity", () => checkConnectivity(options.url, report, parts));
  if (report.health !== null) {
    await parts.run("load", () => checkLoad(options, report, parts));
    await checkSaves(options, report, parts);
  }

  report.ok = report.failed.length === 0;
  show.say(report.ok ? "All is well." : `Not well: ${report.failed.join(", ")}.`);
  return report;
}

/** Runs parts one after another, and keeps report and output in step. */
class PartRunner {
  readonly show: CheckConsole;
  readonly #report: CheckReport;

  constructor(report: CheckReport, show: CheckConsole) {
    this.#report = report;
    this.show = show;
  }

  async run(part: string, check: () => Promise<void>): Promise<void> {
    this.show.begin(part);
    try {
      await check();
    } catch (error) {
      if (!(error instanceof CheckFailure)) throw error;
      this.fail(part, error.message);
    }
  }

  fail(part: string, text: string): void {
    this.#report.failed.push(part);
    this.show.failed(part, text);
  }

  warn(part: string, text: string): void {
    this.#report.warnings.push(`${part}: ${text}`);
    this.show.warning(part, text);
  }
}

async function checkReady(url: string, parts: PartRunner): Promise<void> {
  await askReady(url);
  parts.show.ok("ready", "/ready answered 200");
}

async function checkConnectivity(url: string, report: CheckReport, parts: PartRunner): Promise<void> {
  const health = await askHealth(url);
  if (health.status !== 200 || health.state !== "healthy") {
    throw new CheckFailure(`/health was answered ${health.status}, status ${health.state ?? "missing"}`);
  }
  report.health = health;
  parts.show.ok("connectivity", `/health answered 200, healthy, in ${formatMs(health.tookMs)}`);
  if (health.pid === null) return parts.fail("process", "/health does not name its process");
  const mode = health.multiprocess ? `worker ${health.workerId}, one of several processes` : "one process";
  parts.show.ok("process", `pid ${health.pid}, ${mode}`);
}

async function checkLoad(options: CheckOptions, report: CheckReport, parts: PartRunner): Promise<void> {
  const load = await measureLoad(options);
  report.load = load;
  const text =
    `${load.requests} requests, ${Math.min(options.concurrency, load.requests)} at once, ${load.failures} failed; ` +
    `${formatMs(load.totalMs)} in all, average ${formatMs(load.averageMs)}, p99 ${formatMs(load.p99Ms)}`;
  if (load.failures > 0) parts.fail("load", `${text}; first: ${load.firstFailure}`);
  else parts.show.ok("load", text);

  for (const worker of load.workers) {
    const name = worker.workerId === null ? "" : `worker ${worker.workerId}  `;
    parts.show.detail(
      `${name}pid ${worker.pid}  ${worker.requests} requests  ${worker.percent.toFixed(1)} %`,
    );
  }
  judgeSpread(load, report.health?.multiprocess === true, parts);
}

/** Chance spreads connections, so uneven load is a warning; a worker without any may be ill. */
function judgeSpread(load: LoadReport, multiprocess: boolean, parts: PartRunner): void {
  const answered = load.requests - load.failures;
  const workers = load.workers.length + load.silentWorkerIds.length;
  const fairShare = answered / Math.max(1, workers);
  if (load.silentWorkerIds.length > 0) {
    const text = `nothing was answered by worker ${load.silentWorkerIds.join(", ")}`;
    if (fairShare >= FAIR_SHARE_MIN) parts.fail("load distribution", text);
    else parts.warn("load distribution", `${text}; ${answered} requests are too few to tell why`);
  } else if (multiprocess && workers === 1) {
    parts.warn("load distribution", "one worker answered everything");
  } else if (fairShare >= FAIR_SHARE_MIN) {
    const uneven = load.workers.find(({ requests }) => requests < fairShare / 2 || requests > fairShare * 2);
    if (uneven !== undefined) {
      parts.warn(
        "load distribution",
        `uneven: worker ${uneven.workerId} answered ${uneven.percent.toFixed(1)} %`,
      );
    }
  }
}

async function checkSaves(options: CheckOptions, report: CheckReport, parts: PartRunner): Promise<void> {
  const ticker = new ThrowAwayTicker(options.url);
  let isEnding = false;
  const removeAndExit = (signal: NodeJS.Signals): void => {
    if (isEnding) return;
    isEnding = true;
    const code = EXIT_BY_SIGNAL[signal as keyof typeof EXIT_BY_SIGNAL];
    void removeRows(ticker, report, parts).finally(() => process.exit(code));
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, removeAndExit);
  try {
    await parts.run("live updates", () => checkLiveUpdates(options.url, ticker, report, parts));
    if (!ticker.hasRows) return;
    await parts.run("read back", async () => {
      report.rowsReadBack = await ticker.readBack();
      parts.show.ok("read back", `${report.rowsReadBack} of ${report.rowsReadBack} rows`);
    });
    await removeRows(ticker, report, parts);
  } finally {
    for (const signal of ENDING_SIGNALS) process.off(signal, removeAndExit);
  }
}

async function checkLiveUpdates(
  url: string,
  ticker: ThrowAwayTicker,
  report: CheckReport,
  parts: PartRunner,
): Promise<void> {
  const workers = report.load?.workers.length ?? 1;
  const updates = await measureLiveUpdates({ url, ticker, workers });
  report.liveUpdates = updates;
  const text =
    `${updates.received} of ${updates.subscribers} subscribers got the update, ` +
    `average ${formatMs(updates.averageMs)}, slowest ${formatMs(updates.slowestMs)}`;
  if (updates.received < updates.subscribers)
    throw new CheckFailure(`${text}; first: ${updates.firstFailure}`);
  parts.show.ok("live updates", text);
}

/** A server may refuse the removal. That is no failure, but the user must know what stays. */
async function removeRows(ticker: ThrowAwayTicker, report: CheckReport, parts: PartRunner): Promise<void> {
  if (!ticker.hasRows) return;
  try {
    const { positionIsLeft } = await ticker.remove();
    report.rowsRemoved = true;
    if (positionIsLeft) {
      const older = `an older server: the position of ${ticker.ticker} stays in get_positions`;
      parts.warn("clean-up", older);
    } else parts.show.ok("clean-up", `nothing of ${ticker.ticker} is left`);
  } catch (error) {
    if (!(error instanceof CheckFailure)) throw error;
    report.rowsRemoved = false;
    const text = `the rows of ${ticker.ticker} stay in realtime_data: ${error.message}`;
    if (error instanceof RefusedFailure) parts.warn("clean-up", text);
    else parts.fail("clean-up", text);
  }
}

function formatMs(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/**
 * Shows the progress of long commands on standard error: standard output is for results. A terminal
 * gets a bar, anything else a line every few seconds.
 */

export interface Progress {
  /** Rows done and bytes read so far. Cheap enough for every batch. */
  update(state: ProgressState): void;
  /** Removes the bar. Call it before printing anything else; repeated calls do no harm. */
  end(): void;
}

type ProgressState = FileProgress | SeriesProgress | ReplayProgress;

interface FileProgress {
  rows: number;
  bytesRead: number;
  /** null when unknown, as for standard input. */
  bytesTotal: number | null;
}

interface SeriesProgress {
  rows: number;
  seriesDone: number;
  seriesTotal: number;
}

interface ReplayProgress {
  rows: number;
  /** The time of the tick that is played. */
  at: string;
  /** How late it is played. */
  behindMs: number;
}

export interface ProgressOutput {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const REDRAW_EVERY_MS = 100;
const PLAIN_LINE_EVERY_MS = 5_000;
const BAR_CELLS = 24;
const DEFAULT_COLUMNS = 80;

/** @param nowMs Monotonic milliseconds; a parameter for tests. */
export function startProgress(
  output: ProgressOutput,
  nowMs: () => number = () => performance.now(),
): Progress {
  const onTerminal = output.isTTY === true;
  const everyMs = onTerminal ? REDRAW_EVERY_MS : PLAIN_LINE_EVERY_MS;
  const startedAt = nowMs();
  let lastShownAt = startedAt;
  let barShown = false;

  return {
    update(state) {
      const now = nowMs();
      if (now - lastShownAt < everyMs) return;
      lastShownAt = now;
      const text = describeProgress(state, (now - startedAt) / 1_000);
      if (!onTerminal) {
        output.write(`${text}\n`);
        return;
      }
      const line = `${drawBar(state)}${text}`.slice(0, (output.columns ?? DEFAULT_COLUMNS) - 1);
      output.write(`\r\x1b[2K${line}`);
      barShown = true;
    },
    end() {
      if (barShown) output.write("\r\x1b[2K");
      barShown = false;
    },
  };
}

export const silentProgress: Progress = { update() {}, end() {} };

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

function describeProgress(state: ProgressState, elapsedS: number): string {
  const rate = elapsedS > 0 ? state.rows / elapsedS : 0;
  return `${formatCount(state.rows)} rows, ${describeExtent(state)}, ${formatCount(rate)} rows/s`;
}

function describeExtent(state: ProgressState): string {
  if ("at" in state) return `at ${state.at}, ${(state.behindMs / 1_000).toFixed(1)} s behind`;
  if ("seriesDone" in state)
    return `${formatCount(state.seriesDone)} of ${formatCount(state.seriesTotal)} series`;
  const share = shareOf(state);
  return share === null ? `${formatMegabytes(state.bytesRead)} read` : `${Math.floor(share * 100)} % read`;
}

function drawBar(state: ProgressState): string {
  const share = shareOf(state);
  if (share === null) return "";
  const filled = Math.round(share * BAR_CELLS);
  return `[${"#".repeat(filled)}${".".repeat(BAR_CELLS - filled)}] `;
}

function shareOf(state: ProgressState): number | null {
  if ("at" in state) return null;
  const [done, total] =
    "seriesDone" in state ? [state.seriesDone, state.seriesTotal] : [state.bytesRead, state.bytesTotal];
  return total === null || total === 0 ? null : Math.min(1, done / total);
}

function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

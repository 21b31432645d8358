/** What `top` shows, as lines of text. */

import { MIB } from "../../config/units.ts";
import type { ListedConnection } from "../../connections/connection.ts";
import { formatCount } from "../progress.ts";
import type { Look, Rates } from "./look.ts";

const COMMANDS_SHOWN = 8;

/** A column: its name, whether it is a number, and its text in each row. */
type PageColumn<Row> = [name: string, align: "left" | "right", text: (row: Row) => string];

const WORKER_COLUMNS: PageColumn<Look["list"]["workers"][number]>[] = [
  ["WORKER", "right", ({ worker }) => String(worker)],
  ["PID", "right", ({ pid }) => String(pid)],
  ["MEMORY", "right", ({ resident_bytes }) => size(Number(resident_bytes))],
  [
    "LOOP DELAY",
    "right",
    ({ event_loop_delay_s }) => `${(Number(event_loop_delay_s) * 1_000).toFixed(1)} ms`,
  ],
  ["CONNECTIONS", "right", ({ connections }) => formatCount(connections)],
];

const CONNECTION_COLUMNS: PageColumn<ListedConnection>[] = [
  ["LAG", "right", ({ lag_s }) => `${lag_s.toFixed(1)} s`],
  [
    "UPDATES",
    "right",
    ({ lag_updates }) => (lag_updates === undefined ? "" : formatCount(Number(lag_updates))),
  ],
  ["QUEUE", "right", ({ queue_bytes }) => size(queue_bytes)],
  ["KIND", "left", ({ kind }) => kind],
  ["W", "right", ({ worker }) => String(worker)],
  ["KEY", "left", ({ key }) => key ?? "?"],
  ["ADDRESS", "left", ({ address, port }) => (port === null ? address : `${address} ${port}`)],
  ["FOR", "right", ({ since }) => duration(Date.now() - Date.parse(since))],
  ["ID", "left", ({ id }) => id],
  ["WHAT", "left", whatOf],
];

export function pageOf(url: string, look: Look, rates: Rates): string[] {
  const { metrics, list } = look;
  const engine = [...metrics.keys()].find((name) => name.startsWith("stock_db_info")) ?? "";
  const [, version = "?"] = /version="([^"]*)"/.exec(engine) ?? [];
  const [, database = "?"] = /engine="([^"]*)"/.exec(engine) ?? [];
  const requests = rates.requests.reduce((sum, [, perSecond]) => sum + perSecond, 0);
  const shown = rates.requests.slice(0, COMMANDS_SHOWN);
  const others = rates.requests.length - shown.length;
  return [
    `stock-db-server ${version}, ${database}, ${url}, ${new Date().toTimeString().slice(0, 8)}`,
    `${perSecond(requests)} requests/s, ${perSecond(rates.saves)} saves/s of ${perSecond(rates.rows)} rows, ${commitsOf(look, rates)}`,
    ...shown.map(([what, count]) => `${perSecond(count).padStart(10)}/s  ${what}`),
    ...(others > 0 ? [`            and ${others} more`] : []),
    "",
    ...table(WORKER_COLUMNS, list.workers),
    ...list.silent.map((name) => `${name} doesn't answer`),
    "",
    ...table(CONNECTION_COLUMNS, list.connections),
    ...(list.left_out > 0 ? [`and ${formatCount(list.left_out)} more`] : []),
  ].map(printable);
}

function commitsOf({ metrics }: Look, { commits, commitMs, savesOfCommit }: Rates): string {
  const waiting = `saves that wait: ${formatCount(metrics.get("stock_db_commit_queue") ?? 0)}`;
  if (commitMs === null || savesOfCommit === null) return `no commits, ${waiting}`;
  const each = `${commitMs.toFixed(2)} ms and ${savesOfCommit.toFixed(1)} saves`;
  return `${perSecond(commits)} commits/s of ${each}, ${waiting}`;
}

function whatOf({ what, sql, subscriptions, tickers, policy }: ListedConnection): string {
  if (sql !== undefined) return String(sql);
  if (what !== undefined) return String(what);
  const names = (tickers as string[] | undefined) ?? [];
  const more = Number(subscriptions ?? 0) - names.length;
  const all = names.join(",") + (more > 0 ? ` and ${formatCount(more)} more` : "");
  return policy === undefined ? all : `${policy}: ${all || "nothing yet"}`;
}

function table<Row>(columns: readonly PageColumn<Row>[], rows: readonly Row[]): string[] {
  const texts = [
    columns.map(([name]) => name),
    ...rows.map((row) => columns.map(([, , text]) => printable(text(row)))),
  ];
  const widths = columns.map((_, i) => Math.max(...texts.map((line) => line[i]!.length)));
  return texts.map((line) =>
    line
      .map((text, i) => (columns[i]![1] === "right" ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

/** Names and statements are whatever clients send: none may steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\s+/g, (blanks) => (/^ +$/.test(blanks) ? blanks : " ")).replaceAll(/\p{C}/gu, "·");
}

function perSecond(count: number): string {
  return count < 100 ? count.toFixed(1) : formatCount(Math.round(count));
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < MIB ? `${(bytes / 1024).toFixed(0)} KB` : `${(bytes / MIB).toFixed(1)} MB`;
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

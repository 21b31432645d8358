/** What a soak found, as text. */
import type { SoakResult } from "./soak.ts";
import type { SoakSubscriber, Style } from "./subscriber.ts";

const FRAME_CHARACTERS = 240;

export function formatSoak(result: SoakResult): string {
  const { tickers, subscribers, kills, completeAfterMs, violations } = result;
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  const styles = [...new Set(subscribers.map(({ style }) => style))];
  const rows = styles.map((style) => styleRow(style, subscribers));
  const rest = completeAfterMs === null ? "NOT complete" : `complete after ${Math.round(completeAfterMs)} ms`;
  return [
    formatTable(
      ["ticker", "saves answered", "uncertain", "records", "updates"],
      tickers.map(({ book, updates }) => [
        book.ticker,
        String(book.answeredSaves),
        String(book.uncertainSaves),
        String(book.next - 1),
        String(updates),
      ]),
    ),
    "",
    formatTable(
      [
        "subscribers",
        "",
        "updates",
        "lost",
        "repeated",
        "out of order",
        "reconnects",
        "refused",
        "slow",
        "recoveries",
      ],
      [
        ...rows.map(({ cells }) => cells),
        ["all", ...rows[0]!.numbers.map((_, i) => String(sum(rows.map(({ numbers }) => numbers[i]!))))],
      ],
    ),
    "",
    `killed: ${kills.worker} workers, ${kills.hub} hubs, ${kills.broker} brokers; at rest ${rest}`,
    ...violations.kept.flatMap(({ fault, who, ticker, what, frames }) => [
      "",
      `${fault.toUpperCase()}: ${who}, ${ticker}: ${what}`,
      ...frames.map((frame) => `    ${frame.slice(0, FRAME_CHARACTERS)}`),
    ]),
    ...(violations.total > violations.kept.length
      ? ["", `… and more: ${violations.total} in all`]
      : [violations.total === 0 ? "every update once and in order" : ""]),
  ].join("\n");
}

function styleRow(style: Style, all: readonly SoakSubscriber[]): { cells: string[]; numbers: number[] } {
  const subscribers = all.filter((subscriber) => subscriber.style === style);
  const sum = (of: (subscriber: SoakSubscriber) => number) =>
    subscribers.reduce((total, subscriber) => total + of(subscriber), 0);
  const ofTickers = (name: "updates" | "lost" | "repeated" | "outOfOrder" | "recoveries") =>
    sum(({ check }) => [...check.tickers.values()].reduce((total, { counts }) => total + counts[name], 0));
  const numbers = [
    subscribers.length,
    ofTickers("updates"),
    ofTickers("lost"),
    ofTickers("repeated"),
    ofTickers("outOfOrder"),
    sum(({ counts }) => counts.reconnects),
    sum(({ counts }) => counts.refused),
    sum(({ counts }) => counts.slow),
    ofTickers("recoveries"),
  ];
  return { cells: [style, ...numbers.map(String)], numbers };
}

function formatTable(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

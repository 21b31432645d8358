/** Trades, quotes and bars of the chart's tickers, line by line. */
import { useState } from "preact/hooks";
import { Loading, Note } from "../../components/feedback.tsx";
import { Choices } from "../../components/field.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { countText, priceText, shortText } from "../../format/numbers.ts";
import { clockText, stampText } from "../../format/times.ts";
import type { ChartBar } from "./bar-history.ts";
import type { ChartModel } from "./chart-model.ts";
import type { TapeQuote, TapeTrade } from "./tape-rows.ts";
import { shownText } from "./wall-clock.ts";

const KINDS = [
  ["trades", "Trades"],
  ["quotes", "Quotes"],
  ["bars", "Bars"],
] as const;

const TRADE_COLUMNS: Column<TapeTrade>[] = [
  { id: "time", title: "Time", render: (row) => <Time stamp={row.timestamp} /> },
  { id: "price", title: "Price", isNumber: true, render: ({ price }) => priceText(price) },
  { id: "size", title: "Size", isNumber: true, render: ({ size }) => countText(size) },
];
const QUOTE_COLUMNS: Column<TapeQuote>[] = [
  { id: "time", title: "Time", render: (row) => <Time stamp={row.timestamp} /> },
  { id: "bid", title: "Bid", isNumber: true, render: (row) => priceText(row.bid_price) },
  { id: "ask", title: "Ask", isNumber: true, render: (row) => priceText(row.ask_price) },
  {
    id: "sizes",
    title: "Sizes",
    isNumber: true,
    render: (row) => `${countText(row.bid_size)} × ${countText(row.ask_size)}`,
  },
];

export function TapePanel({ model }: { model: ChartModel }) {
  const [kind, setKind] = useState(model.isDaily ? "bars" : "trades");
  return (
    <aside class="tape" aria-label="Tape">
      <Choices label="Tape" value={kind} onChange={setKind} options={KINDS} />
      {kind === "trades" && (
        <Ticks rows={model.tape.trades.value} columns={TRADE_COLUMNS} what="trades" model={model} />
      )}
      {kind === "quotes" && (
        <Ticks rows={model.tape.quotes.value} columns={QUOTE_COLUMNS} what="quotes" model={model} />
      )}
      {kind === "bars" && <Bars model={model} />}
    </aside>
  );
}

interface TicksProps<Row> {
  rows: readonly Row[];
  columns: Column<Row>[];
  what: string;
  model: ChartModel;
}

function Ticks<Row extends { id: number; symbol: string }>({ rows, columns, what, model }: TicksProps<Row>) {
  if (rows.length === 0)
    return model.tape.isLoading.value || model.isLoading.value ? <Loading /> : <Note>No {what} yet.</Note>;
  const ofTicker: Column<Row> = { id: "symbol", title: "Ticker", render: ({ symbol }) => symbol };
  const shown = model.settings.symbols.length > 1 ? [ofTicker, ...columns] : columns;
  return <Table label={`Newest ${what}`} columns={shown} rows={rows} keyOf={({ id }) => id} />;
}

/** What the chart shows, for who reads numbers. Of the first ticker. */
function Bars({ model }: { model: ChartModel }) {
  model.version.value;
  const bars = [...(model.histories[0]?.bars ?? [])].reverse();
  if (bars.length === 0) return model.isLoading.value ? <Loading /> : <Note>No bars.</Note>;
  const price = (name: "open" | "high" | "low" | "close", title: string): Column<ChartBar> => ({
    ...{ id: name, title, isNumber: true, render: (bar) => priceText(bar[name]) },
  });
  const columns: Column<ChartBar>[] = [
    { id: "time", title: "Bar", render: ({ time }) => <BarTime time={time} isDaily={model.isDaily} /> },
    price("open", "Open"),
    price("high", "High"),
    price("low", "Low"),
    price("close", "Close"),
    { id: "volume", title: "Volume", isNumber: true, render: ({ volume }) => shortText(volume) },
  ];
  return <Table label="Bars" columns={columns} rows={bars} keyOf={({ time }) => time} />;
}

/** Without its year, as there is little room. */
function BarTime({ time, isDaily }: { time: number; isDaily: boolean }) {
  const text = shownText(time, isDaily);
  return <span title={text}>{isDaily ? text : text.slice(5)}</span>;
}

function Time({ stamp }: { stamp: string }) {
  return <span title={stampText(stamp)}>{clockText(stamp)}</span>;
}

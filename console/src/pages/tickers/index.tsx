/** Every ticker of the database, with what is newest of it. */
import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import type { PageProps } from "../../app/pages.ts";
import { goTo, linkTo, setParams } from "../../app/router.ts";
import { Failure, Loading, Note } from "../../components/feedback.tsx";
import { TextField } from "../../components/field.tsx";
import { type Column, type Sort, Table } from "../../components/table.tsx";
import { countText, percentText, priceText, shortText } from "../../format/numbers.ts";
import { ageText } from "../../format/times.ts";
import { shownRows } from "./shown-rows.ts";
import { Sparkline } from "./sparkline.tsx";
import { TickerList } from "./ticker-list.ts";
import { changeOf, type TickerRow } from "./ticker-row.ts";
import "./tickers.css";

/** How often ages and the order are brought up to date. */
const TICK_MS = 1_000;
/** Newer than this, a feed is certainly alive. */
const FRESH_MS = 10_000;

export default function TickersPage({ params }: PageProps) {
  const list = useMemo(() => new TickerList(), []);
  useEffect(() => () => list.close(), [list]);
  const now = useNow();
  const search = params.get("q") ?? "";
  const sort = useSignal<Sort>({ column: "symbol", isDescending: false });
  list.version.value;
  const rows = list.rows.value;
  // A new order with each tick of a ticker would take the lines away from under the mouse.
  const shown = useMemo(() => shownRows(rows, { search, sort: sort.value }), [rows, search, sort.value, now]);
  const onWindow = useCallback((from: number, to: number) => list.see(shown.slice(from, to)), [list, shown]);
  return (
    <section class="page">
      <div class="page-head">
        <h1>Tickers</h1>
        <span class="muted" role="status">
          {rows.length === 0
            ? ""
            : countOf(shown.length, rows.length) + (list.isCut.value ? " and more" : "")}
        </span>
        <div class="ticker-search">
          <TextField
            label="Search tickers"
            isLabelHidden
            type="search"
            placeholder="Search tickers  /"
            value={search}
            onChange={(q) => setParams({ q })}
          />
        </div>
      </div>
      {list.error.value !== null && <Failure error={list.error.value} onRetry={() => void list.load()} />}
      {rows.length === 0 ? (
        <Nothing isLoading={list.isLoading.value} hasFailed={list.error.value !== null} />
      ) : (
        <Table
          label="Tickers"
          columns={columnsOf(list, now)}
          rows={shown}
          keyOf={(row) => row.symbol}
          onOpen={({ symbol }) => goTo("chart", { symbols: symbol })}
          sort={sort.value}
          onSort={(chosen) => (sort.value = chosen)}
          onWindow={onWindow}
        />
      )}
    </section>
  );
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function countOf(shown: number, all: number): string {
  return shown === all ? `${countText(all)} in all` : `${countText(shown)} of ${countText(all)}`;
}

function Nothing({ isLoading, hasFailed }: { isLoading: boolean; hasFailed: boolean }) {
  if (isLoading) return <Loading what="Reading tickers" />;
  if (hasFailed) return null;
  return (
    <Note>
      Nothing is stored yet. <a href={linkTo("import")}>Import a file</a>, start the server with{" "}
      <code>--sample</code>, or let a program save something: it appears here.
    </Note>
  );
}

function columnsOf(list: TickerList, now: number): Column<TickerRow>[] {
  return [
    {
      id: "symbol",
      title: "Ticker",
      isSortable: true,
      render: ({ symbol }) => (
        <a class="ticker" tabIndex={-1} href={linkTo("chart", { symbols: symbol })}>
          {symbol}
        </a>
      ),
    },
    {
      id: "last",
      title: "Last",
      isNumber: true,
      isSortable: true,
      render: ({ last }) => <Last text={priceText(last)} />,
    },
    {
      id: "change",
      title: "Change",
      isNumber: true,
      isSortable: true,
      render: (row) => <Change change={changeOf(row)} since={sinceOf(row)} />,
    },
    {
      id: "volume",
      title: "Volume",
      isNumber: true,
      isSortable: true,
      isWideOnly: true,
      render: ({ volume, day }) => (
        <span title={volume === null ? "" : `${countText(volume)} on ${day}`}>{shortText(volume)}</span>
      ),
    },
    {
      id: "trend",
      title: "Trend",
      isWideOnly: true,
      render: ({ symbol }) => {
        const figures = list.figures.get(symbol);
        return figures && <Sparkline values={figures.closes} what={figures.what} />;
      },
    },
    {
      id: "age",
      title: "Newest",
      isNumber: true,
      isSortable: true,
      render: (row) => <Age row={row} now={now} />,
    },
  ];
}

function Last({ text }: { text: string }) {
  // Another price is another element, so it lights up.
  return (
    <span key={text} class="last-price">
      {text}
    </span>
  );
}

interface ChangeProps {
  change: number | null;
  /** Where it counts from. */
  since: string;
}

function Change({ change, since }: ChangeProps) {
  const direction = change === null || change === 0 ? "muted" : change > 0 ? "up" : "down";
  return (
    <span class={direction} title={change === null ? "" : since}>
      {percentText(change)}
    </span>
  );
}

function sinceOf({ hasDailyBars, reference }: TickerRow): string {
  return `Since ${hasDailyBars ? "the close before" : "the first price of the day"}, ${priceText(reference)}`;
}

function Age({ row: { newestMs, isStale }, now }: { row: TickerRow; now: number }) {
  if (newestMs === null) return <span class="muted">–</span>;
  const age = now - newestMs;
  const state = isStale ? "is-stale" : age < FRESH_MS ? "is-fresh" : "";
  return (
    <span class={`age ${state}`} title={new Date(newestMs).toISOString()}>
      {isStale && <span class="badge">silent</span>}
      {ageText(age)}
    </span>
  );
}

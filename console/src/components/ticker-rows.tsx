/** A page of one kind of row: the ticker is chosen, its rows are a table. */
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { getJson } from "../api/request.ts";
import { useLoad } from "../api/use-load.ts";
import type { PageProps } from "../app/pages.ts";
import { setParams } from "../app/router.ts";
import { Failure, Loading, Note } from "./feedback.tsx";
import { SelectField } from "./field.tsx";
import { type Column, Table } from "./table.tsx";

interface TickerRowsProps<Row> extends PageProps {
  title: string;
  /** As `/v1/tickers` calls the kind. */
  kind: "actions" | "options" | "financial";
  /** How such rows come into the database. */
  empty: ComponentChildren;
  read(ticker: string, signal: AbortSignal): Promise<Row[]>;
  columns: readonly Column<Row>[];
  keyOf(row: Row): string;
  /** Between the choice of the ticker and the table. */
  children?: ComponentChildren;
  /** What `read` depends on beside the ticker. */
  inputs?: readonly unknown[];
}

/** More are found by typing their name into the address. */
const TICKERS_MAX = 5_000;

export function TickerRows<Row>(props: TickerRowsProps<Row>) {
  const { params, title, kind, empty, read, columns, keyOf, children, inputs = [] } = props;
  const tickers = useLoad((signal) => readTickers(kind, signal), [kind]);
  const chosen = params.get("symbol") ?? tickers.data?.[0] ?? "";
  const rows = useLoad(
    async (signal) => (chosen === "" ? [] : await read(chosen, signal)),
    [chosen, ...inputs],
  );
  const names = useMemo(
    () => [...new Set([...(chosen === "" ? [] : [chosen]), ...(tickers.data ?? [])])].sort(),
    [tickers.data, chosen],
  );
  const error = tickers.error ?? rows.error;
  const isLoading = tickers.isLoading || rows.isLoading;
  return (
    <section class="page">
      <div class="page-head">
        <h1>{title}</h1>
        {names.length > 0 && (
          <SelectField
            label="Ticker"
            value={chosen}
            onChange={(symbol) => setParams({ symbol })}
            options={names.map((name) => [name, name] as const)}
          />
        )}
        {children}
      </div>
      {error !== null && (
        <Failure error={error} onRetry={tickers.error === null ? rows.reload : tickers.reload} />
      )}
      {rows.data !== undefined && rows.data.length > 0 ? (
        <Table label={`${title} of ${chosen}`} columns={columns} rows={rows.data} keyOf={keyOf} />
      ) : isLoading ? (
        <Loading what="Reading rows" />
      ) : (
        error === null && <Note>{empty}</Note>
      )}
    </section>
  );
}

async function readTickers(kind: string, signal: AbortSignal): Promise<string[]> {
  const { tickers } = await getJson<{ tickers: { symbol: string }[] }>(
    "v1/tickers",
    { symbols: "*", kind, limit: TICKERS_MAX },
    signal,
  );
  return tickers.map(({ symbol }) => symbol);
}

/** Financial figures of a ticker: a line for each that is stored, a column for each date. */
import { runCommand } from "../../api/request.ts";
import type { PageProps } from "../../app/pages.ts";
import type { Column } from "../../components/table.tsx";
import { TickerRows } from "../../components/ticker-rows.tsx";
import { priceText } from "../../format/numbers.ts";

interface Figure {
  date: string;
  name: string;
  value: unknown;
}

const COLUMNS: Column<Figure>[] = [
  { id: "date", title: "Date", render: ({ date }) => date },
  { id: "name", title: "Figure", render: ({ name }) => name.replaceAll("_", " ") },
  {
    id: "value",
    title: "Value",
    isNumber: true,
    render: ({ value }) => (typeof value === "number" ? priceText(value) : String(value)),
  },
];
const NO_FIGURES = new Set(["ticker", "date", "write_timestamp"]);
/** Since ever: without a bound the server gives the newest alone. */
const FIRST_DATE = "1900-01-01";

export default function FinancialsPage({ params }: PageProps) {
  return (
    <TickerRows
      params={params}
      title="Financial figures"
      kind="financial"
      read={readFigures}
      columns={COLUMNS}
      keyOf={({ date, name }) => `${date} ${name}`}
      empty={
        <>
          No financial figures are stored. The command <code>save_financial_info</code> stores them.
        </>
      }
    />
  );
}

async function readFigures(ticker: string, signal: AbortSignal): Promise<Figure[]> {
  const { data } = await runCommand<{ data: Record<string, unknown>[] }>(
    "get_financial_info",
    { ticker, start_date: FIRST_DATE },
    signal,
  );
  return data.reverse().flatMap((row) =>
    Object.entries(row)
      .filter(([name, value]) => value !== null && !NO_FIGURES.has(name))
      .map(([name, value]) => ({ date: String(row.date), name, value })),
  );
}

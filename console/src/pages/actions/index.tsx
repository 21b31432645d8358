/** Splits and dividends of a ticker, newest first. */
import { getJson } from "../../api/request.ts";
import type { PageProps } from "../../app/pages.ts";
import { linkTo } from "../../app/router.ts";
import type { Column } from "../../components/table.tsx";
import { TickerRows } from "../../components/ticker-rows.tsx";
import { priceText } from "../../format/numbers.ts";

interface Action {
  ex_date: string;
  type: string;
  ratio?: number;
  cash?: number;
}

const COLUMNS: Column<Action>[] = [
  { id: "date", title: "Ex-date", render: ({ ex_date }) => ex_date },
  { id: "type", title: "Type", render: ({ type }) => type },
  { id: "ratio", title: "Shares for one", isNumber: true, render: ({ ratio }) => ratio ?? "" },
  {
    id: "cash",
    title: "Cash a share",
    isNumber: true,
    render: ({ cash }) => (cash === undefined ? "" : priceText(cash)),
  },
];

export default function ActionsPage({ params }: PageProps) {
  return (
    <TickerRows
      params={params}
      title="Corporate actions"
      kind="actions"
      read={readActions}
      columns={COLUMNS}
      keyOf={({ ex_date, type }) => `${ex_date} ${type}`}
      empty={
        <>
          No splits or dividends are stored. <a href={linkTo("chart")}>Charts</a> adjust prices by them.
        </>
      }
    />
  );
}

async function readActions(symbols: string, signal: AbortSignal): Promise<Action[]> {
  const answer = await getJson<{ corporate_actions: Record<string, Action[]> }>(
    "v1/corporate-actions",
    { symbols, sort: "desc" },
    signal,
  );
  return answer.corporate_actions[symbols] ?? [];
}

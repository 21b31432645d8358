/** The option chain of a ticker: its newest snapshots, a line for each strike of an expiration. */
import { useState } from "preact/hooks";
import { runCommand } from "../../api/request.ts";
import type { PageProps } from "../../app/pages.ts";
import { SelectField } from "../../components/field.tsx";
import type { Column } from "../../components/table.tsx";
import { TickerRows } from "../../components/ticker-rows.tsx";
import { countText, percentText, priceText } from "../../format/numbers.ts";

interface Contract {
  expiration_date: string;
  strike_price: number | null;
  option_type: string | null;
  bid: number | null;
  ask: number | null;
  delta: number | null;
  implied_volatility: number | null;
  open_interest: number | null;
}

interface Strike {
  expiration: string;
  strike: number | null;
  call: Contract | undefined;
  put: Contract | undefined;
}

/** It comes as a stamp of its midnight. */
const DATE_CHARACTERS = "2040-01-20".length;

const side = (name: "call" | "put"): Column<Strike>[] => {
  const title = name === "call" ? "Call" : "Put";
  return [
    { id: `${name}-bid`, title: `${title} bid`, isNumber: true, render: (row) => priceText(row[name]?.bid) },
    { id: `${name}-ask`, title: `${title} ask`, isNumber: true, render: (row) => priceText(row[name]?.ask) },
    {
      ...{ id: `${name}-iv`, title: `${title} IV`, isNumber: true, isWideOnly: true },
      render: (row) => percentText(row[name]?.implied_volatility).replace("+", ""),
    },
    {
      ...{ id: `${name}-delta`, title: `${title} delta`, isNumber: true, isWideOnly: true },
      render: (row) => priceText(row[name]?.delta),
    },
    {
      ...{ id: `${name}-interest`, title: `${title} OI`, isNumber: true, isWideOnly: true },
      render: (row) => countText(row[name]?.open_interest),
    },
  ];
};
const COLUMNS: Column<Strike>[] = [
  { id: "expiration", title: "Expires", render: ({ expiration }) => expiration },
  { id: "strike", title: "Strike", isNumber: true, render: ({ strike }) => priceText(strike) },
  ...side("call"),
  ...side("put"),
];

export default function OptionsPage({ params }: PageProps) {
  const [dates, setDates] = useState<readonly string[]>([]);
  const [expiration, setExpiration] = useState("");
  const read = async (ticker: string, signal: AbortSignal): Promise<Strike[]> => {
    const { data } = await runCommand<{ data: Contract[] }>("get_option_chain", { ticker }, signal);
    const strikes = strikesOf(data);
    setDates([...new Set(strikes.map((strike) => strike.expiration))]);
    return strikes.filter((strike) => expiration === "" || strike.expiration === expiration);
  };
  return (
    <TickerRows
      params={params}
      title="Options"
      kind="options"
      read={read}
      inputs={[expiration]}
      columns={COLUMNS}
      keyOf={(row) => `${row.expiration} ${row.strike}`}
      empty={
        <>
          No contracts that haven't expired are stored. The command <code>save_options_data</code> stores
          them.
        </>
      }
    >
      {dates.length > 1 && (
        <SelectField
          label="Expires"
          value={expiration}
          onChange={setExpiration}
          options={[["", "all dates"], ...dates.map((date) => [date, date] as const)]}
        />
      )}
    </TickerRows>
  );
}

function strikesOf(contracts: readonly Contract[]): Strike[] {
  const strikes = new Map<string, Strike>();
  for (const contract of contracts) {
    const { strike_price: strike } = contract;
    const expiration = contract.expiration_date.slice(0, DATE_CHARACTERS);
    const key = `${expiration} ${strike}`;
    const found = strikes.get(key) ?? { expiration, strike, call: undefined, put: undefined };
    strikes.set(
      key,
      contract.option_type === "put" ? { ...found, put: contract } : { ...found, call: contract },
    );
  }
  return [...strikes.values()].sort(
    (a, b) => a.expiration.localeCompare(b.expiration) || (a.strike ?? 0) - (b.strike ?? 0),
  );
}

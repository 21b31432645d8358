/** What a chart shows can be chosen here; each choice gets into the address. */
import { useEffect, useState } from "preact/hooks";
import { getJson } from "../../api/request.ts";
import { useLoad } from "../../api/use-load.ts";
import { setParams } from "../../app/router.ts";
import { Button } from "../../components/button.tsx";
import { CheckField, Choices, SelectField, TextField } from "../../components/field.tsx";
import { AVERAGES, CALENDARS, type ChartSettings, TIMEFRAMES, timeframeSeconds } from "./chart-settings.ts";

const OTHER = "other";
/** A browser's list of more would take long to open. */
const SUGGESTIONS_MAX = 2_000;

export function Controls({ settings }: { settings: ChartSettings }) {
  return (
    <div class="controls">
      <Symbols symbols={settings.symbols} />
      <Timeframe timeframe={settings.timeframe} />
      <Sessions settings={settings} />
      <SelectField
        label="Prices"
        value={settings.adjustment}
        onChange={(adjustment) => setParams({ adjustment })}
        options={[
          ["all", "Adjusted"],
          ["split", "For splits"],
          ["raw", "As traded"],
        ]}
      />
      {settings.symbols.length === 1 && <Averages chosen={settings.averages} />}
    </div>
  );
}

function Symbols({ symbols }: { symbols: readonly string[] }) {
  const shown = symbols.join(", ");
  const [text, setText] = useState(shown);
  useEffect(() => setText(shown), [shown]);
  const all = useLoad(
    (signal) => getJson<{ tickers: { symbol: string }[] }>("v1/tickers", { limit: SUGGESTIONS_MAX }, signal),
    [],
  );
  const written = text.split(",");
  const before = written.slice(0, -1).map((each) => each.trim());
  const suggestions = all.data?.tickers.map(({ symbol }) => [...before, symbol].join(", ")) ?? [];
  return (
    <form
      class="symbols"
      onSubmit={(event) => {
        event.preventDefault();
        setParams({
          symbols: written
            .map((each) => each.trim())
            .filter((each) => each !== "")
            .join(","),
        });
      }}
    >
      <TextField
        label="Tickers"
        type="search"
        value={text}
        onChange={setText}
        suggestions={suggestions}
        placeholder="AAPL, SPY"
      />
      <Button type="submit">Show</Button>
    </form>
  );
}

function Timeframe({ timeframe }: { timeframe: string }) {
  const known = TIMEFRAMES.find((each) => each.toLowerCase() === timeframe.toLowerCase());
  const [isOther, setIsOther] = useState(known === undefined);
  const [text, setText] = useState(timeframe);
  const isLength = timeframeSeconds(text) !== null;
  return (
    <div class="timeframe">
      <Choices
        label="Length of a bar"
        value={isOther ? OTHER : (known ?? OTHER)}
        onChange={(chosen) => {
          setIsOther(chosen === OTHER);
          if (chosen !== OTHER) setParams({ timeframe: chosen });
        }}
        options={[...TIMEFRAMES.map((each) => [each, shortName(each)] as const), [OTHER, "Other"]]}
      />
      {isOther && (
        <form
          class="other-length"
          onSubmit={(event) => {
            event.preventDefault();
            if (isLength) setParams({ timeframe: text.trim() });
          }}
        >
          <TextField
            label="Such as 90s or 2Hour"
            value={text}
            onChange={setText}
            problem={isLength ? null : "A number and a unit: s, Min, Hour, Day, Week, Month"}
          />
          <Button type="submit" disabled={!isLength}>
            Show
          </Button>
        </form>
      )}
    </div>
  );
}

/** `5m`, `1D` */
function shortName(timeframe: string): string {
  return timeframe
    .replace("Min", "m")
    .replace("Hour", "h")
    .replace("Day", "D")
    .replace("Week", "W")
    .replace("Month", "M");
}

function Sessions({ settings: { calendar, session } }: { settings: ChartSettings }) {
  return (
    <>
      <SelectField
        label="Exchange"
        value={calendar}
        onChange={(chosen) => setParams({ calendar: chosen })}
        options={CALENDARS.map(([name, text]) => [name, text] as const)}
      />
      {calendar !== "" && (
        <SelectField
          label="Session"
          value={session}
          onChange={(chosen) => setParams({ session: chosen })}
          options={[
            ["regular", "Regular"],
            ["extended", "Extended"],
          ]}
        />
      )}
    </>
  );
}

function Averages({ chosen }: { chosen: readonly string[] }) {
  return (
    <details class="averages">
      <summary class="button">Averages{chosen.length > 0 && ` (${chosen.length})`}</summary>
      <fieldset class="panel">
        <legend class="hidden-visually">Averages</legend>
        {AVERAGES.map(([name, text]) => (
          <CheckField
            key={name}
            label={text}
            value={chosen.includes(name)}
            onChange={(isOn) => {
              const next = AVERAGES.map(([each]) => each).filter((each) =>
                each === name ? isOn : chosen.includes(each),
              );
              setParams({ averages: next.join(",") || "none" });
            }}
          />
        ))}
      </fieldset>
    </details>
  );
}

/** The figures of the bar under the pointer, or of the newest one. */
import { countText, percentText, priceText } from "../../format/numbers.ts";
import { actionText } from "./action-marks.ts";
import { seriesColor } from "./chart-canvas.ts";
import type { ChartModel } from "./chart-model.ts";
import { AVERAGES } from "./chart-settings.ts";
import { shownSeconds, shownText } from "./wall-clock.ts";

export function Legend({ model }: { model: ChartModel }) {
  const { symbols } = model.settings;
  return (
    <div class="legend" aria-live="off">
      {symbols.length === 1 ? (
        <OneTicker model={model} />
      ) : (
        symbols.map((symbol, i) => <Compared key={symbol} model={model} index={i} />)
      )}
    </div>
  );
}

function OneTicker({ model }: { model: ChartModel }) {
  model.version.value;
  const history = model.histories[0]!;
  const hovered = model.hovered.value;
  const bar = (hovered === null ? undefined : history.at(hovered)) ?? history.bars.at(-1);
  if (bar === undefined) return null;
  const before = history.bars[history.bars.indexOf(bar) - 1];
  const change = before === undefined ? null : bar.close / before.close - 1;
  const events = model.actions.filter(
    ({ ex_date }) => history.from(shownSeconds(`${ex_date}T00:00:00`)) === bar,
  );
  return (
    <>
      <span class="when">{shownText(bar.time, model.isDaily)}</span>
      <Figure name="O" text={priceText(bar.open)} />
      <Figure name="H" text={priceText(bar.high)} />
      <Figure name="L" text={priceText(bar.low)} />
      <Figure name="C" text={priceText(bar.close)} />
      <span class={change === null || change === 0 ? "" : change > 0 ? "up" : "down"}>
        {percentText(change)}
      </span>
      <Figure name="Vol" text={countText(bar.volume)} />
      {model.settings.averages.map((average, i) => (
        <Figure
          key={average}
          name={AVERAGES.find(([name]) => name === average)?.[1] ?? average}
          text={priceText(bar.averages[i])}
          color={seriesColor(i + 1)}
        />
      ))}
      {events.map((event) => (
        <strong key={event.type}>{actionText(event)}</strong>
      ))}
    </>
  );
}

/** One of several, as it moved since the first bar that is seen. */
function Compared({ model, index }: { model: ChartModel; index: number }) {
  model.version.value;
  const history = model.histories[index]!;
  const hovered = model.hovered.value;
  const bar = (hovered === null ? undefined : history.at(hovered)) ?? history.bars.at(-1);
  const color = index === 0 ? "" : seriesColor(index);
  return <Figure name={history.symbol} text={priceText(bar?.close)} color={color} />;
}

function Figure({ name, text, color }: { name: string; text: string; color?: string }) {
  return (
    <span>
      <span class="name" style={color ? { color } : {}}>
        {name}
      </span>{" "}
      {text}
    </span>
  );
}

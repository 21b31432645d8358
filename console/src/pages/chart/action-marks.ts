/** Splits, dividends and other corporate actions as marks of the chart. */
import { getJson } from "../../api/request.ts";
import { colorOf } from "../../app/theme.ts";
import { priceText } from "../../format/numbers.ts";
import type { BarHistory } from "./bar-history.ts";
import type { Mark } from "./chart-canvas.ts";
import { shownSeconds } from "./wall-clock.ts";

export interface CorporateAction {
  ex_date: string;
  type: string;
  ratio?: number;
  cash?: number;
}

export async function readActions(symbol: string, signal: AbortSignal): Promise<CorporateAction[]> {
  const answer = await getJson<{ corporate_actions: Record<string, CorporateAction[]> }>(
    "v1/corporate-actions",
    { symbol },
    signal,
  );
  return answer.corporate_actions[symbol] ?? [];
}

/** `Split 4:1`, `Dividend 0.82` */
export function actionText({ type, ratio, cash }: CorporateAction): string {
  const name = type.charAt(0).toUpperCase() + type.slice(1).replaceAll("_", " ");
  if (ratio !== undefined) return `${name} ${ratio >= 1 ? `${ratio}:1` : `1:${priceText(1 / ratio)}`}`;
  return cash === undefined ? name : `${name} ${priceText(cash)}`;
}

/** Those within the bars that were looked at. */
export function marksOf(actions: readonly CorporateAction[], history: BarHistory): Mark[] {
  const oldest = history.bars[0]?.time;
  if (oldest === undefined) return [];
  const [split, dividend] = [colorOf("--series-3"), colorOf("--series-4")];
  return actions
    .flatMap((action): Mark[] => {
      const time = shownSeconds(`${action.ex_date}T00:00:00`);
      const bar = history.from(time);
      if (bar === undefined || time < oldest) return [];
      const isDividend = action.type === "dividend";
      return [
        {
          time: bar.time,
          position: isDividend ? "belowBar" : "aboveBar",
          shape: isDividend ? "circle" : "arrowDown",
          color: isDividend ? dividend : split,
          text: isDividend ? "D" : actionText(action),
          size: isDividend ? 0.6 : 1,
        },
      ];
    })
    .sort((a, b) => a.time - b.time);
}

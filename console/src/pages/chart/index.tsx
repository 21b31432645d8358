/** A chart of one ticker, or of several against each other, that moves. */
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getJson } from "../../api/request.ts";
import { useLoad } from "../../api/use-load.ts";
import type { PageProps } from "../../app/pages.ts";
import { linkTo } from "../../app/router.ts";
import { isDark } from "../../app/theme.ts";
import { Button } from "../../components/button.tsx";
import { Failure, Loading, Note } from "../../components/feedback.tsx";
import { ChartModel } from "./chart-model.ts";
import { type ChartSettings, settingsOf } from "./chart-settings.ts";
import { Controls } from "./controls.tsx";
import { Legend } from "./legend.tsx";
import { ReplayControl } from "./replay-control.tsx";
import type { ReplayWish } from "./replay-socket.ts";
import { TapePanel } from "./tape.tsx";
import "./chart.css";

interface KnownTicker {
  symbol: string;
  kinds: string[];
  series: { kind: string; series: string; first: string; last: string }[];
}

export default function ChartPage({ params }: PageProps) {
  const asked = (params.get("symbols") ?? "").split(",")[0]!.trim();
  const known = useLoad(
    async (signal) => {
      const which = asked === "" ? { limit: 1 } : { symbol: asked };
      const { tickers } = await getJson<{ tickers: KnownTicker[] }>(
        "v1/tickers",
        { ...which, series: true },
        signal,
      );
      return tickers[0] ?? null;
    },
    [asked],
  );
  if (known.error !== null) {
    return (
      <section class="page">
        <Failure error={known.error} onRetry={known.reload} />
      </section>
    );
  }
  if (known.data === undefined) return <Loading />;
  if (known.data === null && asked === "") {
    return (
      <section class="page">
        <h1>Chart</h1>
        <Note>
          Nothing is stored yet. <a href={linkTo("import")}>Import a file</a> first.
        </Note>
      </section>
    );
  }
  const hasBars =
    known.data?.series.some(({ kind, series }) => kind !== "ticks" && series === "daily") ?? true;
  const settings = settingsOf(params, hasBars ? "1Day" : "1Min");
  if (settings.symbols.length === 0) settings.symbols.push(known.data!.symbol);
  return <Chart settings={settings} known={known.data} />;
}

function Chart({ settings, known }: { settings: ChartSettings; known: KnownTicker | null }) {
  const box = useRef<HTMLDivElement>(null);
  const [model, setModel] = useState<ChartModel | null>(null);
  const [wish, setWish] = useState<ReplayWish | null>(null);
  const [isReplayOpen, setIsReplayOpen] = useState(false);
  const [turn, setTurn] = useState(0);
  const written = JSON.stringify(settings);
  useEffect(() => {
    const made = new ChartModel(box.current!, JSON.parse(written), wish);
    setModel(made);
    return () => made.close();
  }, [written, wish, turn]);
  const dark = isDark.value;
  useEffect(() => {
    if (dark === isDark.peek()) model?.color();
  }, [dark, model]);
  const proposal = useMemo(() => proposalOf(known), [known]);
  const title = settings.symbols.join(", ");
  const toggleReplay = () => {
    setIsReplayOpen(!isReplayOpen);
    setWish(null);
  };
  return (
    <section class="page chart-page">
      <div class="page-head">
        <h1>{title}</h1>
        <Button isPressed={isReplayOpen} onClick={toggleReplay}>
          Replay
        </Button>
        <Button onClick={() => model?.showNewest()}>Newest</Button>
      </div>
      <Controls settings={settings} />
      {isReplayOpen && (
        <ReplayControl
          key={settings.symbols[0]}
          symbols={settings.symbols}
          proposal={proposal}
          state={model?.replay.value ?? null}
          onPlay={(chosen) => setWish({ ...chosen })}
          onStop={() => model?.stopReplay()}
        />
      )}
      {model !== null && model.error.value !== null && (
        <Failure error={model.error.value} onRetry={() => setTurn(turn + 1)} />
      )}
      <div class="chart-and-tape">
        <Figure box={box} model={model} settings={settings} isKnown={known !== null} />
        {model !== null && <TapePanel key={written} model={model} />}
      </div>
    </section>
  );
}

interface FigureProps {
  box: RefObject<HTMLDivElement | null>;
  model: ChartModel | null;
  settings: ChartSettings;
  /** Something of the first ticker is stored. */
  isKnown: boolean;
}

function Figure({ box, model, settings, isKnown }: FigureProps) {
  const label = `Chart of ${settings.symbols.join(", ")}, bars of ${settings.timeframe}`;
  return (
    <figure class="chart panel" aria-label={label}>
      {model !== null && <Legend model={model} />}
      <div class="canvas" ref={box} />
      {model?.isLoading.value && <Loading what="Reading bars" />}
      {model !== null && !model.isLoading.value && <Emptiness model={model} isKnown={isKnown} />}
      <figcaption>
        <Warnings model={model} />
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          Charts by TradingView
        </a>
      </figcaption>
    </figure>
  );
}

function Emptiness({ model, isKnown }: { model: ChartModel; isKnown: boolean }) {
  model.version.value;
  if (model.error.value !== null || model.histories.some(({ bars }) => bars.length > 0)) return null;
  const { symbols } = model.settings;
  if (!isKnown) return <Note>Nothing is stored of {symbols[0]}.</Note>;
  return <Note>There are no bars of this length, and nothing to make them of.</Note>;
}

/** How bars were made, and what may be wrong with them. */
function Warnings({ model }: { model: ChartModel | null }) {
  model?.version.value;
  const warnings = model?.warnings ?? [];
  if (warnings.length === 0) return <span />;
  return <span class="muted">{warnings.join("; ")}</span>;
}

/** The day of the newest trades; without any, about a year of the newest bars. */
function proposalOf(known: KnownTicker | null): string {
  const last = (wanted: string) => known?.series.find(({ series }) => series === wanted)?.last;
  const trade = last("trade") ?? last("quote");
  if (trade !== undefined) return trade.slice(0, 10);
  const bar = last("daily");
  return bar === undefined ? "" : `${Number(bar.slice(0, 4)) - 1}${bar.slice(4, 10)}`;
}

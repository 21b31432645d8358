/**
 * One update to 500 subscribers over 2 workers. Driven back to back from one connection, for how
 * much is delivered, and at a fixed pace, for how late an update arrives: from just before the save
 * is written to its frame's arrival at each subscriber. The floor is one process that publishes a
 * frame of the same size per request: it stores nothing, and no update goes through another
 * process.
 */
import { startWsLoad } from "../load.ts";
import type { WsPlan, WsResult } from "../load-plan.ts";
import {
  type BenchContext,
  type Fact,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startFloor, startServer, type Target } from "../targets.ts";

const SUBSCRIBERS = 500;
const WORKERS = 2;
const TICKER = "AAPL";
const PACED_MS = 2000;
const PACED_PER_SECOND = 20;
const STAMPS_PER_RUN = 100_000_000;
/** A frame grows with its position. */
const POSITION_DIGITS_MAX = 9;
/** Of the server's frame; what the floor sends with `--floors-only`. */
const MADE_UP_FRAME_BYTES = 190;

export const fanout: Scenario = { key: "fanout", run: compareFanout };

async function compareFanout(context: BenchContext): Promise<ScenarioReport> {
  const server = context.floorsOnly
    ? null
    : await startServer({ folder: context.folder, name: "fanout", workers: WORKERS });
  const frameBytes = server === null ? MADE_UP_FRAME_BYTES : await askFrameBytes(server);
  const floor = await startFloor({ file: "publish.ts", folder: context.folder, args: [String(frameBytes)] });

  const results = { floor: [] as WsResult[], ours: [] as WsResult[] };
  const measure = (key: keyof typeof results, target: Target) => async (run: number) => {
    const result = await startWsLoad({
      ...basePlan(target.port),
      subscribers: SUBSCRIBERS,
      firstIndex: (run + 1) * STAMPS_PER_RUN,
      rateMs: context.seconds * 1000,
      pacedMs: PACED_MS,
    }).result;
    results[key].push(result);
    return sampleOf(result, frameBytes);
  };
  const samples = await interleave<"floor" | "ours">(context, {
    floor: measure("floor", floor),
    ...(server === null ? {} : { ours: measure("ours", server) }),
  });
  await Promise.all([floor.stop(), server?.stop()]);
  return {
    comparisons: [
      {
        name: "update to 500 subscribers, 2 workers",
        unit: " frames/s",
        base: { name: "floor", samples: samples.floor },
        ours: samples.ours ?? [],
        target: 0.5,
      },
    ],
    facts: [...latencyFacts("floor", results.floor), ...latencyFacts("ours", results.ours)],
    python: [],
    invalid: invalidSamples({ "fan-out, floor": samples.floor, "fan-out": samples.ours }),
  };
}

function basePlan(
  port: number,
): Pick<WsPlan, "kind" | "port" | "ticker" | "writers" | "savesMin" | "pacedPerSecond"> {
  return { kind: "ws", port, ticker: TICKER, writers: 1, savesMin: 0, pacedPerSecond: PACED_PER_SECOND };
}

/** A few updates to a few subscribers show how long the server's frames are. */
async function askFrameBytes(server: Target): Promise<number> {
  // A price of another day, so that the first frame of a socket is there at once.
  await sendCommand(server.port, "save_realtime_data", {
    ticker: TICKER,
    data_type: "quote",
    index_col: "timestamp",
    data: [{ timestamp: "2023-12-29T20:59:59.000000Z", price: 192.5, size: 100 }],
  });
  const load = startWsLoad({
    ...basePlan(server.port),
    subscribers: 4,
    firstIndex: 0,
    rateMs: 50,
    pacedMs: 0,
  });
  return (await load.result).frameBytes;
}

function sampleOf(result: WsResult, frameBytes: number): Sample {
  const otherSize =
    Math.abs(result.frameBytes - frameBytes) > POSITION_DIGITS_MAX
      ? [`frames of ${result.frameBytes} bytes, not ${frameBytes}`]
      : [];
  return {
    perSecond: result.framesPerSecond,
    clientCpu: result.clientCpu,
    p99Ms: result.backToBackMs.p99,
    invalid: [...result.invalid, ...otherSize],
  };
}

function latencyFacts(whose: "floor" | "ours", results: WsResult[]): Fact[] {
  if (results.length === 0) return [];
  const fact = (name: string, of: (result: WsResult) => number): Fact => ({
    name: `save to receipt, ${name}, ${whose}`,
    unit: "ms",
    values: results.map(of),
    max: null,
  });
  return [
    fact("back to back, p99", (result) => result.backToBackMs.p99),
    fact(`${PACED_PER_SECOND}/s, p50`, (result) => result.pacedMs.p50),
    fact(`${PACED_PER_SECOND}/s, p99`, (result) => result.pacedMs.p99),
  ];
}

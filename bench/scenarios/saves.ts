/**
 * Durable saves of one trade each. The floor puts the same rows into the same kind of table with
 * one transaction for each turn of its event loop, in the process that answers; the server
 * validates, and commits in its hub. Afterwards the stored rows are counted: an answered save that
 * isn't there makes the measurement invalid.
 */
import { join } from "node:path";
import { LOOPBACK } from "../load-plan.ts";
import type { PythonMatch } from "../python-baseline.ts";
import { tickSave, tickStamp } from "../requests.ts";
import {
  type BenchContext,
  interleave,
  invalidSamples,
  measureHttp,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { countTicks, sendCommand, startFloor, startServer, type Target } from "../targets.ts";

const CONNECTIONS = 64;
/** As many as the Python server's saves were measured with. */
const PYTHON_CONNECTIONS = 32;
const TICKERS = 100;
const MANY_WORKERS = 4;
/** Stamps of one load: more than it can use. */
const STAMPS_PER_LOAD = 100_000_000;
const SAVED = "saved successfully";

type Measurement = "floor" | "one" | "many" | "oneFewer";

export const saves: Scenario = { key: "saves", run: compareSaves };

async function compareSaves(context: BenchContext): Promise<ScenarioReport> {
  const one = context.floorsOnly
    ? null
    : await startServer({ folder: context.folder, name: "one", workers: 1 });
  const many = context.floorsOnly
    ? null
    : await startServer({ folder: context.folder, name: "many", workers: MANY_WORKERS });
  const answerFile = join(context.folder, "saved.json");
  await Bun.write(answerFile, one === null ? MADE_UP_ANSWER : await saveOther(one));
  const floor = await startFloor({
    file: "saves.ts",
    folder: context.folder,
    args: [join(context.folder, "floor.db"), answerFile],
  });

  const sent = { floor: 0, one: 0, many: 0 };
  let loads = 0;
  const measure = (key: keyof typeof sent, target: Target, connections: number) => async () => {
    const requests = { kind: "ticks", tickers: TICKERS, firstIndex: loads++ * STAMPS_PER_LOAD } as const;
    const check = { kind: "contains", text: SAVED } as const;
    const sample = await measureHttp(context, {
      port: target.port,
      connections,
      requests,
      check,
    });
    sent[key] += sample.sent;
    return sample;
  };
  const samples = await interleave<Measurement>(context, {
    floor: measure("floor", floor, CONNECTIONS),
    ...(one === null ? {} : { one: measure("one", one, CONNECTIONS) }),
    ...(many === null ? {} : { many: measure("many", many, CONNECTIONS) }),
    ...(one === null ? {} : { oneFewer: measure("one", one, PYTHON_CONNECTIONS) }),
  });
  const invalid = [
    ...invalidSamples({
      "saves, floor": samples.floor,
      saves: samples.one,
      "saves, 32 connections": samples.oneFewer,
      "saves, 4 workers": samples.many,
    }),
    ...missingRows("floor", sent.floor, await countFloor(floor)),
    ...(one === null ? [] : missingRows("1 worker", sent.one, await countTicks(one, "T%"))),
    ...(many === null ? [] : missingRows("4 workers", sent.many, await countTicks(many, "T%"))),
  ];
  await Promise.all([floor.stop(), one?.stop(), many?.stop()]);
  const python: PythonMatch[] = [
    { key: "saves", values: (samples.oneFewer ?? []).map((sample) => sample.perSecond) },
  ];
  return { comparisons: comparisons(samples), facts: [], python, invalid };
}

function comparisons(samples: Record<Measurement, Sample[]>): ScenarioReport["comparisons"] {
  const single = {
    name: "durable one-tick saves, 64 connections",
    unit: "/s",
    base: { name: "floor", samples: samples.floor },
    ours: samples.one ?? [],
    target: 0.6,
  };
  if (samples.one === undefined) return [single];
  const spread = {
    name: "… with 4 workers, against 1 worker",
    unit: "/s",
    base: { name: "1 worker", samples: samples.one },
    ours: samples.many,
    target: 0.9,
  };
  return [single, spread];
}

const MADE_UP_ANSWER = `{"message": "Realtime data (trade) for T000 ${SAVED}."}`;

/** Saves a trade of a ticker that the loads don't use, for the bytes of the answer. */
async function saveOther(server: Target): Promise<Uint8Array> {
  const request = JSON.parse(tickSave({ ticker: "X000", timestamp: tickStamp(0), size: 100 })) as {
    command: string;
    params: object;
  };
  return await sendCommand(server.port, request.command, request.params);
}

async function countFloor(floor: Target): Promise<number> {
  const answer = await fetch(`http://${LOOPBACK}:${floor.port}/health`);
  return ((await answer.json()) as { count: number }).count;
}

function missingRows(name: string, answered: number, stored: number): string[] {
  return answered === stored ? [] : [`saves, ${name}: ${answered} were answered, ${stored} are stored`];
}

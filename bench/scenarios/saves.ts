/**
 * Durable saves of one trade each. The floor puts the same rows into the same kind of table with one transaction for
 * each turn of its event loop, in the process that answers; the server validates, and commits in its hub. Afterwards
 * the stored rows are counted: an answered save that isn't there makes the measurement invalid.
 */
import { join } from "node:path";
import { LOOPBACK } from "../load-plan.ts";
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
import { sendCommand, startFloor, startServer, type Target } from "../targets.ts";

const CONNECTIONS = 64;
const TICKERS = 100;
const MANY_WORKERS = 4;
/** Stamps of one run: more than a run can use. */
const STAMPS_PER_RUN = 100_000_000;
const SAVED = "saved successfully";

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
  const measure = (key: keyof typeof sent, target: Target) => async (run: number) => {
    const requests = { kind: "ticks", tickers: TICKERS, firstIndex: run * STAMPS_PER_RUN } as const;
    const check = { kind: "contains", text: SAVED } as const;
    const sample = await measureHttp(context, {
      port: target.port,
      connections: CONNECTIONS,
      requests,
      check,
    });
    sent[key] += sample.sent;
    return sample;
  };
  const samples = await interleave<"floor" | "one" | "many">(context, {
    floor: measure("floor", floor),
    ...(one === null ? {} : { one: measure("one", one) }),
    ...(many === null ? {} : { many: measure("many", many) }),
  });
  const invalid = [
    ...invalidSamples({
      "saves, floor": samples.floor,
      saves: samples.one,
      "saves, 4 workers": samples.many,
    }),
    ...missingRows("floor", sent.floor, await countFloor(floor)),
    ...(one === null ? [] : missingRows("1 worker", sent.one, await countStored(one))),
    ...(many === null ? [] : missingRows("4 workers", sent.many, await countStored(many))),
  ];
  await Promise.all([floor.stop(), one?.stop(), many?.stop()]);
  return { comparisons: comparisons(samples), facts: [], invalid };
}

function comparisons(samples: Record<"floor" | "one" | "many", Sample[]>): ScenarioReport["comparisons"] {
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

async function countStored(server: Target): Promise<number> {
  const body = await sendCommand(server.port, "execute_sql", {
    sql_query: "select count(*) as n from realtime_data where ticker like 'T%'",
    query_type: "select",
    query_params: [],
  });
  const answer = JSON.parse(Buffer.from(body).toString()) as { data: { n: number }[] };
  return answer.data[0]?.n ?? 0;
}

function missingRows(name: string, answered: number, stored: number): string[] {
  return answered === stored ? [] : [`saves, ${name}: ${answered} were answered, ${stored} are stored`];
}

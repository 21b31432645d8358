/** Saves at a pace that a feed has, from this process, and when each was answered. */
import { encodeRequest, tickSave, tickStamp } from "./requests.ts";
import { openSaver } from "./saver.ts";

const SAVERS = 50;
const SAVES_PER_SECOND = 5_000;

export interface PacedSaves {
  perSecond: number;
  p99Ms: number;
  worstMs: number;
  /** By ticker, in ms since 1970. A trade's size is its number, from 1. */
  answeredAtMs: ReadonlyMap<string, number[]>;
}

export interface PacedSaving {
  isGoingOn(): boolean;
  done: Promise<PacedSaves>;
}

/** @param name Begins the tickers, one for each connection. */
export function savePaced(load: { port: number; ms: number; name: string }): PacedSaving {
  const { port, ms, name } = load;
  const answeredAtMs = new Map<string, number[]>();
  const latencies: number[] = [];
  let isGoingOn = true;
  const startedAt = performance.now();
  const run = async (place: number): Promise<void> => {
    const ticker = `${name}S${place}`;
    const answered: number[] = [];
    answeredAtMs.set(ticker, answered);
    const saver = await openSaver(port, () => answered.push(Date.now()));
    const pauseMs = (SAVERS * 1_000) / SAVES_PER_SECOND;
    let dueAt = startedAt + (pauseMs * place) / SAVERS;
    while (performance.now() - startedAt < ms) {
      await Bun.sleep(Math.max(0, dueAt - performance.now()));
      dueAt += pauseMs;
      const number = answered.length + 1;
      const body = tickSave({ ticker, timestamp: tickStamp(number), size: number });
      const sentAt = performance.now();
      await saver.post(encodeRequest(body, port));
      latencies.push(performance.now() - sentAt);
    }
    saver.close();
  };
  const all = Promise.all(Array.from({ length: SAVERS }, (_, place) => run(place)));
  const done = all.then((): PacedSaves => {
    isGoingOn = false;
    const sorted = Float64Array.from(latencies).sort();
    return {
      perSecond: (sorted.length * 1_000) / (performance.now() - startedAt),
      p99Ms: sorted[Math.floor(sorted.length * 0.99)]!,
      worstMs: sorted.at(-1)!,
      answeredAtMs,
    };
  });
  return { isGoingOn: () => isGoingOn, done };
}

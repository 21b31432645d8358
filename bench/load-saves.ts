/**
 * Saves trades over one connection, at a pace or back to back, and notes when each was sent and
 * answered: a process of its own, so that a subscriber's frames never wait behind it. A trade's
 * `size` is its number.
 *
 * Its clock is `performance.timeOrigin + performance.now()`, which processes of one machine share
 * to a few µs.
 */
import type { SavesPlan, SavesResult } from "./load-plan.ts";
import { WARMUP_SAVES } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { encodeRequest, tickSave, tickStamp } from "./requests.ts";
import { openSaver } from "./saver.ts";
import { FIRST_NUMBER } from "./update-numbers.ts";

if (import.meta.main) runAsLoadProcess("saves", runSaves);

async function runSaves(plan: SavesPlan, hooks: LoadHooks): Promise<SavesResult> {
  /** Sent and answered, in turn. */
  const times: number[] = [];
  const saver = await openSaver(plan.port, () => times.push(now()));
  const save = async (): Promise<void> => {
    const number = times.length / 2;
    const timestamp = tickStamp(plan.firstIndex + number);
    const body = tickSave({ ticker: plan.ticker, timestamp, size: FIRST_NUMBER + number });
    const request = encodeRequest(body, plan.port);
    times.push(now());
    await saver.post(request);
  };
  try {
    for (let i = 0; i < WARMUP_SAVES; i++) await save();
    hooks.measuring();
    const cpu = startCpuMeter();
    const startedAt = performance.now();
    let saves = 0;
    for (; performance.now() - startedAt < plan.ms; saves++) {
      if (plan.perSecond !== null) {
        await Bun.sleep(Math.max(0, startedAt + (saves * 1000) / plan.perSecond - performance.now()));
      }
      await save();
    }
    const savesPerSecond = (saves * 1000) / (performance.now() - startedAt);
    await Bun.write(plan.timesFile, new Float64Array(times));
    return { kind: "saves", savesPerSecond, clientCpu: cpu() };
  } finally {
    saver.close();
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

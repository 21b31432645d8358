import { askHealth, CheckFailure, type HealthAnswer } from "./server-under-check.ts";

export interface LoadReport {
  requests: number;
  failures: number;
  firstFailure: string | null;
  totalMs: number;
  /** Of answered requests; 0 when there are none. */
  averageMs: number;
  p99Ms: number;
  /** By worker id, then pid. */
  workers: WorkerShare[];
  /** Ids below the highest seen that answered nothing. */
  silentWorkerIds: number[];
}

interface WorkerShare {
  workerId: number | null;
  pid: number | null;
  requests: number;
  percent: number;
}

export async function measureLoad(options: {
  url: string;
  requests: number;
  concurrency: number;
}): Promise<LoadReport> {
  const answers: HealthAnswer[] = [];
  const failures: string[] = [];
  let begun = 0;

  const sendInTurn = async (): Promise<void> => {
    while (begun < options.requests) {
      begun++;
      try {
        const answer = await askHealth(options.url);
        if (answer.status === 200) answers.push(answer);
        else failures.push(`/health was answered ${answer.status}`);
      } catch (error) {
        if (!(error instanceof CheckFailure)) throw error;
        failures.push(error.message);
      }
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: options.concurrency }, sendInTurn));
  const totalMs = performance.now() - startedAt;

  return {
    requests: options.requests,
    failures: failures.length,
    firstFailure: failures[0] ?? null,
    totalMs,
    ...summarizeTimes(answers.map((answer) => answer.tookMs)),
    ...summarizeWorkers(answers),
  };
}

/** p99 by nearest rank: a measured time, not one in between. */
export function summarizeTimes(timesMs: number[]): { averageMs: number; p99Ms: number } {
  if (timesMs.length === 0) return { averageMs: 0, p99Ms: 0 };
  const sorted = timesMs.toSorted((a, b) => a - b);
  const sum = sorted.reduce((total, ms) => total + ms, 0);
  return { averageMs: sum / sorted.length, p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0 };
}

export function summarizeWorkers(
  answers: Pick<HealthAnswer, "pid" | "workerId">[],
): Pick<LoadReport, "workers" | "silentWorkerIds"> {
  const shares = new Map<string, WorkerShare>();
  for (const { pid, workerId } of answers) {
    const key = `${workerId} ${pid}`;
    const share = shares.get(key) ?? { workerId, pid, requests: 0, percent: 0 };
    share.requests++;
    share.percent = (share.requests / answers.length) * 100;
    shares.set(key, share);
  }
  const workers = [...shares.values()].sort(
    (a, b) => (a.workerId ?? -1) - (b.workerId ?? -1) || (a.pid ?? 0) - (b.pid ?? 0),
  );
  const seen = new Set(workers.map((worker) => worker.workerId));
  const highest = workers.at(-1)?.workerId ?? 0;
  const silentWorkerIds = Array.from({ length: highest }, (_, id) => id).filter((id) => !seen.has(id));
  return { workers, silentWorkerIds };
}

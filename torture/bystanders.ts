/** Starts the process of the other clients, and asks it what they saw. */
import { spawnOwn, stopChild } from "../bench/processes.ts";
import type { BystandersPlan, FromBystanders, ToBystanders, Verdict, Window } from "./bystanders-protocol.ts";

const ANSWER_MS = 120_000;

export interface RunningBystanders {
  /** What they saw since the last call, or the start. */
  window(): Promise<Window>;
  /** Ends them. */
  finish(): Promise<Verdict>;
  stop(): Promise<void>;
}

/** @throws Error They can't be started. */
export async function startBystanders(plan: BystandersPlan): Promise<RunningBystanders> {
  let waiting: PromiseWithResolvers<FromBystanders> | null = null;
  const next = async (): Promise<FromBystanders> => {
    waiting = Promise.withResolvers();
    const timer = setTimeout(() => waiting?.reject(new Error("the bystanders don't answer")), ANSWER_MS);
    try {
      const message = await waiting.promise;
      if (message.type === "failed") throw new Error(`the bystanders failed: ${message.reason}`);
      return message;
    } finally {
      clearTimeout(timer);
    }
  };
  const listening = next();
  const child = spawnOwn({
    file: "torture/bystanders-process.ts",
    ipc: (message) => waiting?.resolve(message as FromBystanders),
  });
  const ask = (message: ToBystanders): Promise<FromBystanders> => {
    const answer = next();
    child.send(message);
    return answer;
  };
  await listening;
  await ask({ type: "plan", plan });
  return {
    async window() {
      const answer = await ask({ type: "window" });
      if (answer.type !== "window") throw new Error(`expected a window, got ${answer.type}`);
      return answer.window;
    },
    async finish() {
      const answer = await ask({ type: "finish" });
      if (answer.type !== "verdict") throw new Error(`expected a verdict, got ${answer.type}`);
      return answer.verdict;
    },
    stop: async () => void (await stopChild(child)),
  };
}

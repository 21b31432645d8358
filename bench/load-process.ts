/**
 * The child's half of a load process: takes one plan over IPC, runs it, sends the result, ends with
 * its parent.
 */
import type { FromLoad, LoadPlan, ToLoad } from "./load-plan.ts";

export interface LoadHooks {
  /** Tells the benchmark that warm-up is over. */
  measuring: () => void;
  /** Resolves when the benchmark wants the measurement to end early. */
  stopped: Promise<void>;
}

export function runAsLoadProcess<Kind extends LoadPlan["kind"]>(
  kind: Kind,
  run: (plan: Extract<LoadPlan, { kind: Kind }>, hooks: LoadHooks) => Promise<unknown>,
): void {
  const stop = Promise.withResolvers<void>();
  process.on("disconnect", () => process.exit(0));
  process.on("message", async (message: ToLoad) => {
    if (message.type === "stop") return stop.resolve();
    try {
      if (message.plan.kind !== kind) throw new Error(`a ${kind} load got a ${message.plan.kind} plan`);
      const plan = message.plan as Extract<LoadPlan, { kind: Kind }>;
      const result = await run(plan, { measuring: () => send({ type: "measuring" }), stopped: stop.promise });
      send({ type: "result", result } as FromLoad);
    } catch (error) {
      send({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
    }
  });
  send({ type: "listening" });
}

function send(message: FromLoad): void {
  process.send?.(message);
}

/**
 * CPU time of this process between the call and the returned function's, as a share of one core.
 */
export function startCpuMeter(): () => number {
  const cpu = process.cpuUsage();
  const at = performance.now();
  return () => {
    const used = process.cpuUsage(cpu);
    return (used.user + used.system) / 1000 / (performance.now() - at);
  };
}

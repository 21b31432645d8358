/**
 * Clients that save one numbered trade after the other, each of a ticker of its own. So what is
 * stored at any moment is the first so many of each, and none is left out.
 */
import type { RunningServer } from "./server.ts";

const FIRST_MS = Date.UTC(2024, 0, 2, 15);

export interface NumberedSaves {
  /** How many of each client were answered with success by then, in ms since 1970. */
  answeredBy(ms: number): number[];
  answered(): number;
  /** @returns how many each client has saved. */
  stop(): Promise<number[]>;
}

function tickerOf(client: number): string {
  return `T${client}`;
}

/** They go on until they are stopped, and try again what isn't answered. */
export function saveNumbered(server: RunningServer, clients: number): NumberedSaves {
  const answers: number[][] = Array.from({ length: clients }, () => []);
  let isStopped = false;
  const run = async (client: number): Promise<void> => {
    while (!isStopped) {
      const number = answers[client]!.length;
      const answer = await server
        .command("save_realtime_data", {
          ticker: tickerOf(client),
          data_type: "trade",
          index_col: "timestamp",
          data: [{ timestamp: new Date(FIRST_MS + number).toISOString(), price: number + 1, size: 1 }],
        })
        .catch(() => null);
      if (answer?.status === 200) answers[client]!.push(Date.now());
      else await Bun.sleep(10);
    }
  };
  const running = Promise.all(answers.map((_, client) => run(client)));
  return {
    answeredBy: (ms) => answers.map((times) => times.filter((at) => at <= ms).length),
    answered: () => answers.reduce((all, times) => all + times.length, 0),
    async stop() {
      isStopped = true;
      await running;
      return answers.map((times) => times.length);
    },
  };
}

/**
 * How many of each client are stored.
 * @throws Error Some are missing between those that are stored, or are there twice.
 */
export async function storedNumbers(server: RunningServer, clients: number): Promise<number[]> {
  const counts: number[] = [];
  for (let client = 0; client < clients; client++) {
    const { body } = await server.command<{ data?: { price: number }[] }>("get_realtime_data", {
      ticker: tickerOf(client),
      data_type: "trade",
    });
    const prices = (body.data ?? []).map(({ price }) => price);
    const wrong = prices.findIndex((price, index) => price !== index + 1);
    if (wrong >= 0) throw new Error(`${tickerOf(client)}: ${prices[wrong]} at place ${wrong}`);
    counts.push(prices.length);
  }
  return counts;
}

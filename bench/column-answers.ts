/** The ticks of the scenario `columns` as answers of `/v1/trades`. */
import { TICK_ANSWER_END, TICKS, TICKS_ANSWERED } from "./column-data.ts";
import { LOOPBACK } from "./load-plan.ts";
import { startServer } from "./targets.ts";

export interface ColumnAnswers {
  /** All ticks as Arrow. */
  arrowMs: number;
  /** A quarter of them as JSON. */
  jsonMs: number;
  invalid: string[];
}

/** From the request to the last byte. The server has one worker, which has answered it once. */
export async function measureAnswers(database: string, folder: string): Promise<ColumnAnswers> {
  const server = await startServer({ folder, name: "columns", workers: 1, database });
  const ask = async (query: string): Promise<{ ms: number; bytes: number; status: number }> => {
    const startedAt = performance.now();
    const response = await fetch(`http://${LOOPBACK}:${server.port}/v1/trades?symbols=*&${query}`, {
      headers: { "accept-encoding": "identity" },
    });
    let bytes = 0;
    for await (const piece of response.body!) bytes += piece.length;
    return { ms: performance.now() - startedAt, bytes, status: response.status };
  };
  const arrow = "columns=price,size&format=arrow";
  const json = `columns=price,size&end=${TICK_ANSWER_END}`;
  try {
    for (const query of [arrow, json]) await ask(query);
    const [asArrow, asJson] = [await ask(arrow), await ask(json)];
    // A stamp, a price and a size of a tick have 24 bytes in Arrow, and 50 and more in JSON.
    const isWhole = asArrow.bytes > TICKS * 24 && asJson.bytes > TICKS_ANSWERED * 50;
    const isAnswered = asArrow.status === 200 && asJson.status === 200;
    const invalid = isWhole && isAnswered ? [] : ["an answer of ticks isn't whole"];
    return { arrowMs: asArrow.ms, jsonMs: asJson.ms, invalid };
  } finally {
    await server.stop();
  }
}

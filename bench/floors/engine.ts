/**
 * Floor of one engine: a bare `Bun.serve` that runs each command's least statement on the engine's
 * driver, in the process that answers. Nothing is kept from one read to the next. Saves that arrive
 * while a commit is under way go into the next one. Arguments: port, engine, path or connection
 * string, file with the bars and the quote to begin with.
 */
import { readFileSync } from "node:fs";
import type { EngineName } from "../../test/support/flags.ts";
import { type BareBar, type BareTick, openBareStore } from "./bare-store.ts";
import { readCommand, serveFloor, type TickCommand } from "./serve-floor.ts";

export interface EngineSeed {
  bars: BareBar[];
  quote: BareTick;
}

const store = await openBareStore(process.argv[3] as EngineName, process.argv[4]!);
const seed = JSON.parse(readFileSync(process.argv[5]!, "utf8")) as EngineSeed;
await store.addBars(seed.bars);
await store.addTicks([seed.quote]);

let waiting: { command: TickCommand; answered: (response: Response) => void }[] = [];
let committing = false;

serveFloor(answer, { count: () => store.countTicks() });

async function answer(request: Request): Promise<Response> {
  const command = await readCommand(request);
  const { ticker, start_date: from, end_date: to } = (command?.params ?? {}) as Record<string, string>;
  switch (command?.command) {
    case "get_latest_price":
      return Response.json({ ticker, latest_price: await store.latestPrice(ticker!) });
    case "get_stock_data":
      return Response.json({ data: await store.bars(ticker!, from!, to!) });
    case "save_realtime_data":
      return await new Promise<Response>((answered) => {
        if (waiting.length === 0 && !committing) setImmediate(commitWaiting);
        waiting.push({ command, answered });
      });
    default:
      return new Response(null, { status: 400 });
  }
}

async function commitWaiting(): Promise<void> {
  committing = true;
  while (waiting.length > 0) {
    const saves = waiting;
    waiting = [];
    await store.addTicks(
      saves.flatMap(({ command: { params } }) =>
        params.data.map((row) => ({ ...row, ticker: params.ticker, type: params.data_type })),
      ),
    );
    for (const { command, answered } of saves)
      answered(Response.json({ message: `${command.params.ticker} saved successfully` }));
  }
  committing = false;
}

/**
 * What the floors share: one port, `GET /health`, and the request's JSON. No routing, no
 * validation, no limits.
 */

/**
 * @param answer Gets every request that isn't `GET /health`; null means that it has become a
 *   WebSocket.
 */
export function serveFloor(
  answer: (request: Request, server: Bun.Server<undefined>) => Promise<Response> | Response | undefined,
  options: { count?: () => number | Promise<number>; websocket?: Bun.WebSocketHandler<undefined> } = {},
): void {
  const health = async () => Response.json({ count: (await options.count?.()) ?? 0 });
  const fetch = (request: Request, server: Bun.Server<undefined>) => {
    if (request.method === "POST" || request.headers.has("upgrade")) return answer(request, server);
    return health();
  };
  const base = { port: Number(process.argv[2]), hostname: "127.0.0.1", development: false } as const;
  if (options.websocket === undefined) Bun.serve({ ...base, fetch: fetch as (r: Request) => Response });
  else Bun.serve({ ...base, fetch, websocket: options.websocket });
}

/** The request's JSON, or null when it has no command. */
export async function readCommand(request: Request): Promise<TickCommand | null> {
  const command = (await request.json()) as TickCommand;
  return command.command ? command : null;
}

export interface TickCommand {
  command: string;
  params: {
    ticker: string;
    data_type: string;
    data: { timestamp: string; price: number; size: number }[];
  };
}

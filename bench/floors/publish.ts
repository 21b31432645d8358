/**
 * Floor of the fan-out: one process, one topic; each request publishes a frame of the server's size
 * to every subscriber and is answered. No database, no hub, no other process. The frame carries the
 * request's number where the load looks for it. Arguments: port, bytes of a frame.
 */
import { readCommand, serveFloor } from "./serve-floor.ts";

const TOPIC = "updates";
const frameBytes = Number(process.argv[3]);
const answer = new Uint8Array(64).fill(120);
const headers = { "content-type": "application/json; charset=utf-8" };

serveFloor(
  (request, server) => {
    if (request.method === "GET") {
      return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
    }
    return publish(request, server);
  },
  {
    websocket: {
      open(socket) {
        socket.subscribe(TOPIC);
        socket.send('{"data":{"type":"heartbeat"}}');
      },
      message() {},
    },
  },
);

async function publish(request: Request, server: Bun.Server<undefined>): Promise<Response> {
  const command = await readCommand(request);
  const size = command?.params.data[0]?.size;
  if (size === undefined) return new Response(null, { status: 400 });
  const frame = `{"data":{"payload":[{"size":${size}}],"pad":"`;
  server.publish(TOPIC, `${frame.padEnd(frameBytes - 3, "x")}"}}`);
  return new Response(answer, { headers });
}

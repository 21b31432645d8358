/** A way to a server that can be cut at the worst moment. */
import type { Socket } from "bun";

export interface TcpProxy extends Disposable {
  readonly port: number;
  /**
   * The next time a client sends this text, its connection is cut: "before" the server gets it, or "after", so that only the
   * answer is lost.
   */
  cutAt(text: string, when: "before" | "after"): void;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Cuts what is open, and takes no new connections until told so. */
  refuse(refusing: boolean): void;
}

interface Ends {
  server: Socket<Ends> | null;
  client: Socket<Ends>;
  waiting: Uint8Array[];
  deaf: boolean;
}

export function proxyTo(serverPort: number): TcpProxy {
  let trap: { text: string; when: "before" | "after" } | null = null;
  let cuts = 0;
  let refusing = false;
  const open = new Set<Ends>();

  function toServer(ends: Ends, chunk: Uint8Array): void {
    if (trap !== null && Buffer.from(chunk).includes(trap.text)) {
      const { when } = trap;
      trap = null;
      cuts++;
      ends.deaf = true;
      if (when === "after") ends.server?.write(chunk);
      ends.client.terminate();
      // The server finishes what it has got, and notices then.
      ends.server?.end();
      return;
    }
    if (ends.server === null) ends.waiting.push(chunk);
    else ends.server.write(chunk);
  }

  const listener = Bun.listen<Ends>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      async open(client) {
        if (refusing) {
          client.terminate();
          return;
        }
        const ends: Ends = { server: null, client, waiting: [], deaf: false };
        client.data = ends;
        open.add(ends);
        ends.server = await Bun.connect<Ends>({
          hostname: "127.0.0.1",
          port: serverPort,
          data: ends,
          socket: {
            data: (server, chunk) => void (server.data.deaf || server.data.client.write(chunk)),
            close: (server) => void server.data.client.end(),
          },
        });
        for (const chunk of ends.waiting.splice(0)) ends.server.write(chunk);
      },
      data: (client, chunk) => toServer(client.data, chunk),
      close(client) {
        if (client.data === undefined) return;
        open.delete(client.data);
        client.data.server?.end();
      },
    },
  });
  return {
    port: listener.port,
    cutAt(text, when) {
      trap = { text, when };
    },
    get cuts() {
      return cuts;
    },
    refuse(now) {
      refusing = now;
      if (now) for (const { client } of open) client.terminate();
    },
    [Symbol.dispose]: () => listener.stop(true),
  };
}

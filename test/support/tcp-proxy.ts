/** A way to a server that can be cut at the worst moment. */
import type { Socket } from "bun";

export interface TcpProxy extends Disposable {
  readonly port: number;
  /**
   * The next time a client sends this text, its connection is cut: "before" the server gets it, or
   * "after", so that only the answer is lost.
   */
  cutAt(text: string, when: "before" | "after"): void;
  /** From now on the server gets the other text, which is as long, wherever a client sends this. */
  swap(text: string, other: string): void;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Cuts what is open, and takes no new connections until told so. */
  refuse(refusing: boolean): void;
}

/** One side of a connection. */
interface End {
  /** null until it is connected. */
  socket: Socket<End> | null;
  /** What it could not take yet. */
  waiting: Uint8Array[];
  /** Nothing more comes from the other side: it is closed when it has taken what waits. */
  last: boolean;
  readonly other: End;
  readonly isClient: boolean;
  /** Its connection was cut: what still comes from it counts no more. */
  cut: boolean;
}

export function proxyTo(serverPort: number): TcpProxy {
  let trap: { text: string; when: "before" | "after" } | null = null;
  let cuts = 0;
  let refusing = false;
  let swapped: { text: string; other: string } | null = null;
  const clients = new Set<End>();

  /**
   * Cuts the client off if it has sent what is waited for.
   *
   * @returns whether the server is to get the chunk.
   */
  function passes(client: End, chunk: Uint8Array): boolean {
    if (trap === null || !Buffer.from(chunk).includes(trap.text)) return true;
    const { when } = trap;
    trap = null;
    cuts++;
    client.cut = true;
    client.socket?.terminate();
    return when === "after";
  }

  const handlers = {
    data(socket: Socket<End>, chunk: Uint8Array) {
      const end = socket.data;
      if (end.cut || end.other.cut) return;
      if (end.isClient && swapped !== null) overwrite(chunk, swapped);
      if (!end.isClient || passes(end, chunk)) give(end.other, chunk);
      // The server finishes what it has got, and notices then.
      if (end.cut) finish(end.other);
    },
    drain: (socket: Socket<End>) => flush(socket.data),
    close(socket: Socket<End>) {
      const end = socket.data;
      if (end === undefined) return;
      clients.delete(end);
      finish(end.other);
    },
  };

  const listener = Bun.listen<End>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...handlers,
      async open(socket) {
        if (refusing) {
          socket.terminate();
          return;
        }
        const client = connectedEnds(socket);
        socket.data = client;
        clients.add(client);
        try {
          const server = await Bun.connect<End>({
            hostname: "127.0.0.1",
            port: serverPort,
            data: client.other,
            socket: handlers,
          });
          client.other.socket = server;
          flush(client.other);
        } catch {
          socket.terminate(); // nobody listens there
        }
      },
    },
  });
  return {
    port: listener.port,
    cutAt(text, when) {
      trap = { text, when };
    },
    swap(text, other) {
      swapped = { text, other };
    },
    get cuts() {
      return cuts;
    },
    refuse(now) {
      refusing = now;
      if (now) for (const { socket } of clients) socket?.terminate();
    },
    [Symbol.dispose]: () => listener.stop(true),
  };
}

/** @returns the client's; the server's is its other one. */
function connectedEnds(socket: Socket<End>): End {
  const ends = [true, false].map((isClient) => ({
    socket: isClient ? socket : null,
    waiting: [],
    last: false,
    isClient,
    cut: false,
  })) as unknown as [End, End];
  const [client, server] = ends;
  Object.assign(client, { other: server });
  Object.assign(server, { other: client });
  return client;
}

function overwrite(chunk: Uint8Array, { text, other }: { text: string; other: string }): void {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) bytes.write(other, at);
}

function give(end: End, chunk: Uint8Array): void {
  // The bytes are the receiver's only until it returns.
  end.waiting.push(chunk.slice());
  flush(end);
}

function finish(end: End): void {
  end.last = true;
  flush(end);
}

/** Bun takes what the kernel takes, and leaves the rest to the caller. */
function flush(end: End): void {
  const { socket, waiting } = end;
  if (socket === null) return;
  while (waiting.length > 0) {
    const [chunk] = waiting as [Uint8Array];
    const taken = Math.max(0, socket.write(chunk));
    if (taken < chunk.length) {
      waiting[0] = chunk.subarray(taken);
      return;
    }
    waiting.shift();
  }
  if (end.last) socket.end();
}

/** What a worker listens on: its port, and beside it a Unix socket and a port that redirects. */
import type { Server, WebSocketHandler } from "bun";
import type { Settings } from "../config/settings.ts";
import { errorResponse } from "../http/responses.ts";
import type { createRouter } from "../http/router.ts";
import type { AnySocketData } from "../http/router-options.ts";
import type { LogLines } from "../observe/log.ts";
import { redirectToHttps } from "./https-redirect.ts";
import { Listener, Listeners } from "./listener.ts";
import { readTls, TlsWatch } from "./tls-files.ts";
import { type BoundSocket, bindUnixSocket } from "./unix-socket.ts";

/**
 * Bun closes a connection that is idle for this long, even under a running handler; at most 255.
 */
const IDLE_TIMEOUT_MIN_S = 30;
export const IDLE_TIMEOUT_MAX_S = 255;
/** Added to --sql-timeout, so that the client gets its error. */
export const IDLE_TIMEOUT_SLACK_S = 15;

export interface ListenOptions {
  settings: Settings;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  answer: ReturnType<typeof createRouter>;
  acceptsHost(host: string | null): boolean;
  websocket: WebSocketHandler<AnySocketData>;
  log: LogLines;
}

export interface OpenListeners {
  listener: Listeners<AnySocketData>;
  /** Ends what goes with them: the watch of the certificate, the path of the Unix socket. */
  leave(): void;
}

type WorkerServer = Server<AnySocketData>;

/** @throws Error a port or path is not available, or the files of TLS are wrong. */
export function openListeners(options: ListenOptions): OpenListeners {
  const { settings, workerId, log } = options;
  let tls = readTls(settings);
  const main = new Listener<AnySocketData>(() =>
    Bun.serve<AnySocketData>({
      hostname: settings.host,
      port: settings.port,
      // A listener with another certificate takes the place of one that still listens.
      reusePort: workerId !== null || tls !== null,
      ...(tls === null ? {} : { tls }),
      ...serveOptions(options),
    }),
  );
  const watch =
    tls === null
      ? null
      : new TlsWatch(settings, {
          log,
          onChanged: (changed) => {
            tls = changed;
            main.replace();
          },
        });
  const unix = listenOnPath(options);
  const redirecting = redirect(options, main.port);
  return {
    listener: new Listeners({ main, unix: unix?.listener ?? null, redirecting }),
    leave() {
      watch?.stop();
      unix?.remove();
    },
  };
}

function serveOptions({ settings, answer, websocket, log }: ListenOptions) {
  return {
    development: false,
    idleTimeout: Math.min(
      IDLE_TIMEOUT_MAX_S,
      Math.max(IDLE_TIMEOUT_MIN_S, Math.ceil(settings.sqlTimeoutMs / 1_000) + IDLE_TIMEOUT_SLACK_S),
    ),
    // Not the limit of a body: a larger one must reach the router to be refused in JSON.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: answer,
    websocket,
    error: (error: Error) => {
      log.error(`Request failed outside of its handler: ${error.message}`);
      return errorResponse(error);
    },
  };
}

/** @returns null: there is no Unix socket, or another worker has it. */
function listenOnPath(options: ListenOptions): { listener: Listener<AnySocketData>; remove(): void } | null {
  const { settings, workerId, log } = options;
  const { unixSocket, unixSocketMode } = settings;
  if (unixSocket === null || (workerId ?? 0) !== 0) return null;
  let bound: BoundSocket<WorkerServer> | null = null;
  const listener = new Listener<AnySocketData>(() => {
    bound = bindUnixSocket(unixSocket, unixSocketMode, (unix) =>
      Bun.serve<AnySocketData>({ unix, ...serveOptions(options) } as Parameters<
        typeof Bun.serve<AnySocketData>
      >[0]),
    );
    return bound.server;
  });
  log.info(`Listening on the Unix socket ${unixSocket} too`);
  return { listener, remove: () => bound?.remove() };
}

/** @returns null: there is none. */
function redirect(
  { settings, acceptsHost }: ListenOptions,
  httpsPort: number,
): Listener<AnySocketData> | null {
  const { host, redirectPort } = settings;
  if (redirectPort === null) return null;
  const fetch = redirectToHttps(httpsPort, acceptsHost);
  return new Listener<AnySocketData>(
    () =>
      Bun.serve({
        ...{ hostname: host, port: redirectPort, development: false, fetch },
        // Workers share it, as a new one does with the one that it replaces.
        reusePort: true,
      }) as WorkerServer,
  );
}

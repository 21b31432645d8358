/** Alpaca's streams of market data, over this server's own: where its clients connect. */
import type { Server } from "bun";
import type { Callers } from "../access/callers.ts";
import { credentialsOf } from "../access/credentials.ts";
import type { KeyRates } from "../access/key-rates.ts";
import type { Arrival } from "../connections/connection.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import { Zone, zoneOf } from "../market/zone.ts";
import type { Traffic } from "../metrics/traffic.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus } from "../protocol/errors.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import type { OpenClient, SocketData } from "../websocket/socket-client.ts";
import type { SocketPlaces } from "../websocket/socket-places.ts";
import type { Sockets } from "../websocket/sockets.ts";
import type { SubscriptionQuota } from "../websocket/subscription-quota.ts";
import { Turns } from "../websocket/turns.ts";
import { FEEDS } from "./feeds.ts";
import { SharedWatch } from "./shared-watch.ts";
import { StreamClient, type StreamHandshake } from "./stream-client.ts";
import { codecOf } from "./stream-codec.ts";

export const STREAM_PATHS: readonly string[] = FEEDS.map((feed) => `/v2/${feed}`);

/** WebSockets that are open only to be told that their address has too many, in one worker. */
const REFUSED_MAX = 64;

export interface StreamDoorOptions {
  subscriptions: Subscriptions;
  liveBars: Pick<LiveBars, "listen">;
  sockets: Sockets;
  places: SocketPlaces;
  quota: SubscriptionQuota;
  callers: Callers;
  rates: KeyRates;
  traffic: Traffic;
  /** Null: there is none. */
  audit: AuditLog | null;
  symbolsMax: number;
  queueBytesMax: number;
  /** IANA name of the time zone in which days of bars begin. */
  marketTimezone: string;
}

export class StreamDoor {
  readonly #options: StreamDoorOptions;
  readonly #clients = new Set<StreamClient>();
  readonly #named: SharedWatch;
  readonly #all: SharedWatch;
  #refused = 0;

  constructor(options: StreamDoorOptions) {
    this.#options = options;
    const { subscriptions, liveBars, marketTimezone } = options;
    const zone = zoneOf(marketTimezone) ?? new Zone(marketTimezone);
    const of = { subscriptions, liveBars, zone, turns: new Turns(), onRestart: () => this.#restart() };
    this.#named = new SharedWatch("snapshot", of);
    this.#all = new SharedWatch("now", of);
  }

  /**
   * @returns false when the handshake is incomplete, true when the request became a WebSocket.
   * @throws RequestError 429 too many WebSockets of the address, and too many wait to be told so.
   */
  async upgrade(
    request: Request,
    server: Server<SocketData>,
    _parameters: URLSearchParams,
    { path, address, arrival }: { path: string; address: string; arrival: Arrival },
  ): Promise<boolean> {
    const { sockets } = this.#options;
    const isCounted = await this.#isAdmitted(address, path);
    const handshake = {
      path,
      address,
      codec: codecOf(request.headers),
      credentials: credentialsOf(request.headers),
      isTooMany: !isCounted,
    };
    return sockets.accept(request, server, {
      open: this.#client(handshake),
      path,
      address,
      owner: null,
      arrival,
      door: "alpaca",
      isCounted,
    });
  }

  /** Alpaca's clients are told of too many WebSockets by a message. */
  async #isAdmitted(address: string, path: string): Promise<boolean> {
    try {
      await this.#options.places.enter({ address, owner: null }, path);
      return true;
    } catch (error) {
      if (!hasStatus(error, STATUS.tooMany) || this.#refused >= REFUSED_MAX) throw error;
      return false;
    }
  }

  #client(handshake: StreamHandshake): OpenClient {
    const { quota, callers, rates, traffic, places, audit, symbolsMax, queueBytesMax } = this.#options;
    return (socket, services) => {
      if (handshake.isTooMany) this.#refused++;
      const client: StreamClient = new StreamClient(socket, handshake, {
        ...services,
        named: this.#named,
        all: this.#all,
        quota,
        callers,
        rates,
        places,
        meterOf: (caller) => traffic.meter("alpaca", rates.noteBytes(caller)),
        audit,
        symbolsMax,
        queueBytesMax,
        onClosed: () => {
          if (this.#clients.delete(client) && handshake.isTooMany) this.#refused--;
        },
      });
      this.#clients.add(client);
      return client;
    };
  }

  #restart(): void {
    for (const client of [...this.#clients]) client.restart();
  }
}

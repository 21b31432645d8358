/**
 * Another server: it reads, saves and runs SQL; its updates come back over WebSocket. The hub has
 * nothing to do.
 */
import { hostname, networkInterfaces } from "node:os";
import type { Settings } from "../../config/settings.ts";
import { parseUpstream, type UpstreamUrl } from "../../config/upstream-url.ts";
import { PARSED_BYTES_MAX } from "../../storage/remote/answer-body.ts";
import { askNewer } from "../../storage/remote/commands.ts";
import { RemoteReader } from "../../storage/remote/remote-reader.ts";
import { RemoteSaves } from "../../storage/remote/remote-saves.ts";

import { runRemoteSql } from "../../storage/remote/remote-sql.ts";
import { RemoteUpdates } from "../../storage/remote/remote-updates.ts";
import { Upstream } from "../../storage/remote/upstream.ts";
import type { WorkerStorage } from "../../worker/worker-storage.ts";
import type { HubStorage, WorkerStorageOptions } from "../engine.ts";

export { diagnoseRemote } from "../../storage/remote/remote-diagnosis.ts";
export { openRemoteTransfer } from "../../storage/remote/remote-transfer.ts";

/**
 * Of an update in the answer that tells it, to the body that it was saved with: it is text within
 * JSON there.
 */
const UPDATE_TO_BODY = 4;
const ANY_ADDRESS = ["0.0.0.0", "::"];
const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

/** @throws Error the settings make no sense for a server in front of another. */
export function openRemoteHub(settings: Settings): HubStorage {
  if (isItself(upstreamOf(settings), settings)) {
    throw new Error(`--db-file ${settings.dbFile} is this server itself`);
  }
  if (settings.sample) {
    throw new Error(
      "--sample fills a database of this server's own; give it to the server that --db-file names",
    );
  }
  return { writer: null, database: null };
}

/** The upstream may be away; requests get 503 until it is there. */
export async function openRemoteWorker(options: WorkerStorageOptions): Promise<WorkerStorage> {
  const { settings, serverId, log } = options;
  const upstream = new Upstream({
    url: upstreamOf(settings),
    connectionsMax: settings.dbPoolSize,
    serverId,
    parsedBytesMax: Math.max(PARSED_BYTES_MAX, UPDATE_TO_BODY * settings.maxBodyBytes),
    log,
  });
  const reader = new RemoteReader(upstream, settings.dbPoolSize);
  const saves = new RemoteSaves(upstream, settings.maxBodyBytes);
  const updates = new RemoteUpdates({
    ...options.updates,
    upstream,
    log,
    epoch: () => reader.updates.epoch(),
  });
  return {
    reader,
    updates,
    save: (save, request) => saves.save(save, request),
    executeSql: (request) => runRemoteSql(upstream, request, settings.sqlTimeoutMs),
    removeCheck: async (ticker) => {
      await askNewer(upstream, "remove_check", { ticker });
    },
    sqlFigures: () => ({ runs_at: "upstream" }),
    async close() {
      updates.close();
      reader.close();
    },
  };
}

function upstreamOf({ dbFile }: Settings): UpstreamUrl {
  const url = parseUpstream(dbFile);
  if (url === null) throw new Error("--db-file names no server"); // the settings were checked
  return url;
}

/**
 * What can be seen from the address. The rest is noticed when the upstream is first asked: see
 * protocol/via.ts.
 */
function isItself({ host, port }: UpstreamUrl, settings: Settings): boolean {
  if (port !== settings.port) return false;
  if (host === settings.host) return true;
  if (LOOPBACK.includes(host)) return LOOPBACK.includes(settings.host) || ANY_ADDRESS.includes(settings.host);
  if (!ANY_ADDRESS.includes(settings.host)) return false;
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
  return host === hostname() || own.includes(host) || ANY_ADDRESS.includes(host);
}

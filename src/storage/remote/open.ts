/** What a worker has of another server, which may be away: requests get 503 until it is there. */
import { parseUpstream } from "../../config/upstream-url.ts";
import type { WorkerContext, WorkerParts } from "../engine.ts";
import { PARSED_BYTES_MAX } from "./answer-body.ts";
import { askNewer } from "./commands.ts";
import { sendEdit } from "./edit-command.ts";
import { RemoteReader } from "./reader.ts";
import { runRemoteSql } from "./remote-sql.ts";
import { RemoteUpdates } from "./remote-updates.ts";
import { RemoteSaves } from "./saves.ts";
import { Upstream } from "./upstream.ts";

/**
 * Of an update in the answer that tells it, to the body that it was saved with: it is text within
 * JSON there.
 */
const UPDATE_TO_BODY = 4;

export function openRemoteWorker({ settings, serverId, log, updates: sink }: WorkerContext): WorkerParts {
  const { dbPoolSize, maxBodyBytes } = settings;
  const upstream = new Upstream({
    url: parseUpstream(settings.dbFile)!,
    connectionsMax: dbPoolSize,
    serverId,
    parsedBytesMax: Math.max(PARSED_BYTES_MAX, UPDATE_TO_BODY * maxBodyBytes),
    log,
  });
  const reader = new RemoteReader(upstream, dbPoolSize);
  const saves = new RemoteSaves(upstream, maxBodyBytes);
  const updates = new RemoteUpdates({ ...sink, upstream, log, epoch: () => reader.updates.epoch() });
  return {
    reader,
    upstream: {
      updates,
      save: (save, request) => saves.save(save, request),
      edit: (edit) => sendEdit(upstream, edit),
      async removeCheck(ticker) {
        await askNewer(upstream, "remove_check", { ticker });
      },
      runSql: (request) => runRemoteSql(upstream, request, settings.sqlTimeoutMs),
    },
    close() {
      updates.close();
      reader.close();
    },
  };
}

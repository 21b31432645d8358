/** A database that is another server, as a worker in front of it sees it. Its own is SQLite. */
import { parseSettings } from "../../src/config/settings.ts";
import { parseUpstream } from "../../src/config/upstream-url.ts";
import type { LogLines } from "../../src/observe/log.ts";
import { RequestError } from "../../src/protocol/errors.ts";
import { openTransferReader } from "../../src/roles/engine.ts";
import type { Save, SaveOutcome } from "../../src/storage/contract.ts";
import { askNewer } from "../../src/storage/remote/commands.ts";
import { RemoteReader } from "../../src/storage/remote/remote-reader.ts";
import { RemoteSaves } from "../../src/storage/remote/remote-saves.ts";
import { saveCommand } from "../../src/storage/remote/save-command.ts";
import { Upstream } from "../../src/storage/remote/upstream.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { startServer } from "../support/server.ts";
import type { Opened } from "./drivers.ts";

const MIB = 1024 * 1024;
const SILENT: LogLines = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };

export async function openAnotherServer(dbFile: string): Promise<Opened> {
  const { settings } = parseSettings([], {});
  const server = await startServer({ dbFile });
  const upstream = new Upstream({
    url: parseUpstream(`127.0.0.1:${server.port}`)!,
    connectionsMax: settings.dbPoolSize,
    serverId: crypto.randomUUID(),
    log: SILENT,
  });
  const saves = new RemoteSaves(upstream, settings.maxBodyMb * MIB);
  const reader = new RemoteReader(upstream, settings.dbPoolSize);
  return {
    writer: {
      commit: (batch) => commitEach(batch, (save) => saveOne(saves, save)),
      changedByOthers: () => lacking("noticesOthers"),
      async removeCheck(ticker) {
        await askNewer(upstream, "remove_check", { ticker });
      },
      isEmpty: () => lacking("knowsEmpty"),
      close() {},
    },
    reader,
    openTransfer: async () => (await openTransferReader(`http://127.0.0.1:${server.port}`))!,
    async execute(sql) {
      changeAsAnotherProgram(dbFile, sql);
    },
    async [Symbol.asyncDispose]() {
      reader.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function lacking(capability: string): never {
  throw new Error(`a server in front of another has no ${capability}`);
}

/** Each is a request of its own. Those of one ticker go one after the other. */
async function commitEach(
  batch: Save[],
  saveOne: (save: Save) => Promise<SaveOutcome>,
): Promise<SaveOutcome[]> {
  const outcomes: SaveOutcome[] = new Array(batch.length);
  const lanes = Map.groupBy(batch.keys(), (index) => batch[index]!.ticker);
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const index of lane) outcomes[index] = await saveOne(batch[index]!);
    }),
  );
  return outcomes;
}

async function saveOne(saves: RemoteSaves, save: Save): Promise<SaveOutcome> {
  try {
    return await saves.save(save, JSON.stringify(saveCommand(save)));
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { status, message, details } = error;
    return { ok: false, status, error: message, ...(details === undefined ? {} : { details }) };
  }
}

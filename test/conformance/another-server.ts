/** A database that is another server, as a worker in front of it sees it. Its own is SQLite. */
import { parseSettings } from "../../src/config/settings.ts";
import { parseUpstream } from "../../src/config/upstream-url.ts";
import type { LogLines } from "../../src/observe/log.ts";
import { RequestError } from "../../src/protocol/errors.ts";
import { barsFrame, realtimeFrame } from "../../src/protocol/frames.ts";
import type { JsonRecord } from "../../src/protocol/json.ts";
import { hasChanged, type Save, type SaveOutcome, type SaveRefusal } from "../../src/storage/contract.ts";
import { kindOf } from "../../src/storage/model/kinds.ts";
import { askNewer } from "../../src/storage/remote/commands.ts";
import { sendEdit } from "../../src/storage/remote/edit-command.ts";
import { REMOTE } from "../../src/storage/remote/engine.ts";
import { RemoteReader } from "../../src/storage/remote/reader.ts";
import { saveCommand } from "../../src/storage/remote/save-command.ts";
import { RemoteSaves } from "../../src/storage/remote/saves.ts";
import { RemoteUpdateReader } from "../../src/storage/remote/updates.ts";
import { Upstream } from "../../src/storage/remote/upstream.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { startServer } from "../support/server.ts";
import type { Opened } from "./drivers.ts";

const SILENT: LogLines = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };

/** What was saved, by ticker and position. */
type SentSaves = Map<string, Save>;

/** By database: they outlast its servers. */
const sentTo = new Map<string, SentSaves>();

export async function openAnotherServer(dbFile: string): Promise<Opened> {
  const sent = sentTo.get(dbFile) ?? new Map<string, Save>();
  sentTo.set(dbFile, sent);
  const { settings } = parseSettings([], {});
  const server = await startServer({ dbFile });
  const upstream = new Upstream({
    url: parseUpstream(`127.0.0.1:${server.port}`)!,
    connectionsMax: settings.dbPoolSize,
    serverId: crypto.randomUUID(),
    log: SILENT,
  });
  const saves = new RemoteSaves(upstream, settings.maxBodyBytes);
  const reader = new RemoteReader(upstream, settings.dbPoolSize);
  return {
    writer: {
      commit: (batch) =>
        commitEach(batch, async (save) => {
          const outcome = await saveOne(saves, save);
          if (hasChanged(outcome)) sent.set(sentKey(save.ticker, outcome.position!), save);
          return outcome;
        }),
      changedByOthers: () => lacking("noticesOthers"),
      edit: (edit) => sendEdit(upstream, edit).catch(refusalOf),
      async removeCheck(ticker) {
        await askNewer(upstream, "remove_check", { ticker });
      },
      isEmpty: () => lacking("knowsEmpty"),
      close() {},
    },
    reader: withFramesAsSent(reader, sent),
    openTransfer: async () => (await REMOTE.openToRead(`http://127.0.0.1:${server.port}`))!,
    async execute(sql) {
      changeAsAnotherProgram(dbFile, sql);
    },
    async [Symbol.asyncDispose]() {
      reader.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const sentKey = (ticker: string, position: number): string => `${ticker}\0${position}`;

/**
 * The upstream makes the frames itself: where one says what the save of its position says, it
 * stands for that of the save.
 */
function withFramesAsSent(reader: RemoteReader, sent: SentSaves): RemoteReader {
  const { updates } = reader;
  const after: typeof updates.after = async (ticker, position, limit) =>
    (await RemoteUpdateReader.prototype.after.call(updates, ticker, position, limit)).map((stored) => {
      const save = sent.get(sentKey(ticker, stored.position));
      return save?.update !== undefined && stored.frame === frameOf(save)
        ? { ...stored, frame: save.update.frame }
        : stored;
    });
  updates.after = after;
  return reader;
}

function frameOf(save: Save): string {
  const { data } = saveCommand(save).params;
  const { stamp, noun } = kindOf(save.kind);
  // As the upstream reads them.
  const records = JSON.parse(JSON.stringify(data)) as JsonRecord[];
  return noun === "bars"
    ? barsFrame(save.ticker, records)
    : realtimeFrame(save.ticker, save.part!, records, stamp.name);
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

/** With an id of its own if it has none: who sends one is told of the outcome. */
async function saveOne(saves: RemoteSaves, save: Save): Promise<SaveOutcome> {
  const update = save.update ?? { saveId: crypto.randomUUID(), repeated: false, frame: "" };
  try {
    return await saves.save({ ...save, update }, { text: JSON.stringify(saveCommand(save)), arrow: null });
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): SaveRefusal {
  if (!(error instanceof RequestError)) throw error;
  const { status, message, details } = error;
  return { ok: false, status, error: message, ...(details === undefined ? {} : { details }) };
}

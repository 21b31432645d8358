/**
 * Another server: it reads, saves and runs SQL; its updates come back over WebSocket. The hub has
 * nothing to do.
 */
import { hostname, networkInterfaces } from "node:os";
import { redact } from "../../config/redact.ts";
import type { Settings } from "../../config/settings.ts";
import { HOST_AND_PORT, parseUpstream, type UpstreamUrl } from "../../config/upstream-url.ts";
import { quoted, UsageError } from "../../config/usage-error.ts";
import type { Engine } from "../engine.ts";

const ANY_ADDRESS = ["0.0.0.0", "::"];
const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

export const REMOTE: Engine = {
  names: { remote: "another stock database server" },
  forms: {
    schemes: { "http:": "remote", "https:": "remote" },
    bare: HOST_AND_PORT,
    expected: "host:port or http(s)://… of another stock database server",
  },
  placement: { reads: "upstream", saves: "upstream", sql: "upstream" },
  keepsAnswers: false,
  epochElsewhere: "positions are the other server's: begin its epoch where its database is",
  check(dbFile, source) {
    if (parseUpstream(dbFile) !== null) return;
    throw new UsageError(
      `${source}: expected host:port or http(s)://host, without a query, of another stock database server, got ${quoted(redact(dbFile))}`,
    );
  },
  checkSettings(settings) {
    if (isItself(parseUpstream(settings.dbFile)!, settings))
      throw new Error(`--db-file ${settings.dbFile} is this server itself`);
    if (settings.sample)
      throw new Error(
        "--sample fills a database of this server's own; give it to the server that --db-file names",
      );
    if (settings.rollup.length > 0)
      throw new Error("--rollup: the server that --db-file names makes the roll-ups; give it to that one");
    return null;
  },
  async openTarget({ dbFile }) {
    const transfer = await (await import("./transfer.ts")).openRemoteTransfer(dbFile);
    return {
      writer: transfer,
      preparation: null,
      openTransfer: () => transfer,
      close: () => transfer.close(),
    };
  },
  openToRead: async (dbFile) => (await import("./transfer.ts")).openRemoteTransfer(dbFile),
  openWorker: async (options) => (await import("./open.ts")).openRemoteWorker(options),
  diagnose: async (dbFile) => (await import("./diagnosis.ts")).diagnoseRemote(dbFile),
};

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

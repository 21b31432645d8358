/** The hub as a process of its own. */
import { MemoryBoard } from "../memory/memory-board.ts";
import { createLogger } from "../observe/log.ts";
import { readBrief, runChild } from "./child-control.ts";
import { failOnSurprise } from "./fail-on-surprise.ts";
import { runHub } from "./hub-role.ts";

const EXIT_WITHOUT_DATABASE = 1;

export async function serveAsHub(): Promise<void> {
  const brief = readBrief();
  const { settings } = brief;
  const log = createLogger({
    level: settings.logLevel,
    worker: null,
    file: settings.logFile,
    format: settings.logFormat,
  });
  failOnSurprise(log);
  new MemoryBoard(brief.runtimeDir).join("hub", 0);
  await runChild(
    async () => {
      const hub = await runHub(brief, log, (reason) => {
        log.critical(`The database's writer failed: ${reason}`);
        log.flushSync();
        process.exit(EXIT_WITHOUT_DATABASE);
      });
      return () => hub.stop();
    },
    { brief, log },
  );
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BrokerProcess, findProgram, startBroker } from "./broker-process.ts";

/** null where it is not installed. */
export const NATS_SERVER = findProgram("nats-server");

/** @param settings lines of its configuration, such as "max_payload: 64KB" */
export function startNatsServer(...settings: string[]): Promise<BrokerProcess> {
  return startBroker(({ port, dir }) => {
    if (NATS_SERVER === null) throw new Error("nats-server is not installed");
    const config = join(dir, "nats.conf");
    writeFileSync(config, `${[`listen: "127.0.0.1:${port}"`, ...settings].join("\n")}\n`);
    return [NATS_SERVER, "-c", config];
  });
}

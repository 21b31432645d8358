import { type BrokerProcess, findProgram, startBroker } from "./broker-process.ts";

/** null where it is not installed. */
export const REDIS_SERVER = findProgram("redis-server");

/** It keeps nothing on disk. @param flags such as "--requirepass", "secret" */
export function startRedisServer(...flags: string[]): Promise<BrokerProcess> {
  return startBroker(({ port, dir }) => {
    if (REDIS_SERVER === null) throw new Error("redis-server is not installed");
    const own = [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      dir,
      "--save",
      "",
      "--appendonly",
      "no",
    ];
    return [REDIS_SERVER, ...own, ...flags];
  });
}

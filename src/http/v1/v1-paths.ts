/** The paths of /v1. Workers know them before they load what answers them. */
import type { WrittenTable } from "../../commands/writes/sent-names.ts";

/** With the table that a POST of rows stores into. */
export const V1_PATHS = {
  "/v1/bars": "bars",
  "/v1/trades": "trades",
  "/v1/quotes": "quotes",
  "/v1/asof": null,
  "/v1/latest": null,
  "/v1/snapshots": null,
  "/v1/options": null,
  "/v1/corporate-actions": null,
  "/v1/tickers": null,
  "/v1/feeds": null,
  "/v1/sql": null,
} as const satisfies Record<string, WrittenTable | null>;

/** What is open at the server; one of it is behind another slash. */
export const CONNECTIONS_PATH = "/v1/connections";

export type V1Path = keyof typeof V1_PATHS;

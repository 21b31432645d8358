/** SQL of users, where the hub has the database. */
import { atClientsPace } from "../protocol/clients-pace.ts";
import type { SqlParam, SqlReply, UserSqlRequest } from "../storage/user-sql-contract.ts";
import { type HubAccess, pieces } from "./hub-reader.ts";
import { HubLostError } from "./hub-reads.ts";
import type { WireSqlRequest } from "./messages.ts";
import type { SqlCaution } from "./sql-caution.ts";

/**
 * Waits for a hub that is being restarted.
 *
 * @throws RequestError the driver's, or 503 by `SqlCaution.admit`. If the hub dies meanwhile, the
 *   statement's outcome is unknown.
 */
export async function runSqlInHub(
  { hub, caution }: { hub: HubAccess; caution: SqlCaution },
  request: UserSqlRequest,
  limits: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<SqlReply> {
  const wire: WireSqlRequest = { ...request, params: request.params.map(toWire) };
  caution.admit();
  await hub.present();
  const asked = hub.reads.ask({ type: "sql", request: wire, timeoutMs: limits.timeoutMs }, limits.signal);
  const { message, bytes } = await asked.reply.catch((error) => {
    if (error instanceof HubLostError) caution.hubEnded();
    throw error;
  });
  if (message.type === "needs-write") return "needs-write";
  if (message.type !== "piece") throw new Error(`the hub answered SQL with ${message.type}`);
  const { rows = 0, changed } = message;
  if (!message.more) return { rows, changed, body: bytes };
  return { rows, changed, body: atClientsPace(pieces(hub.reads, asked.id, bytes)) };
}

function toWire(param: SqlParam): WireSqlRequest["params"][number] {
  return typeof param === "bigint" ? { integer: String(param) } : param;
}

/** GET /v1/connections, and DELETE of one: see docs/connections.md. */
import { z } from "zod";
import * as p from "../../commands/questions/parameters.ts";
import { CONNECTION_KINDS } from "../../connections/connection.ts";
import type { Call } from "../call.ts";
import { jsonResponse } from "../responses.ts";
import { CONNECTIONS_PATH } from "./v1-paths.ts";
import { parametersOfUrl } from "./v1-request.ts";

const LIMIT_DEFAULT = 200;
const LIMIT_MAX = 1_000;

export const CONNECTIONS_PARAMETERS = z.object({
  kind: p.choice(CONNECTION_KINDS, "Only connections of this kind.").optional(),
  key: p
    .text({
      description: "Only those of the key of this name.",
      expected: "the name of a key",
      example: "desk",
    })
    .optional(),
  address: p
    .text({
      description: "Only those from this address of a client.",
      expected: "an address",
      example: "10.0.0.7",
    })
    .optional(),
  limit: p
    .limitOf(LIMIT_MAX, `So many at most, those that are most behind. Default: ${LIMIT_DEFAULT}.`)
    .optional(),
});

/** @throws RequestError 400 */
export async function listConnections(call: Call): Promise<Response> {
  const { kind, key, address, limit } = p.readParameters(
    CONNECTIONS_PATH,
    CONNECTIONS_PARAMETERS,
    parametersOfUrl(call.query),
  );
  const question = {
    kind: kind ?? null,
    key: key ?? null,
    address: address ?? null,
    limit: limit ?? LIMIT_DEFAULT,
  };
  return jsonResponse(await call.options.connections.list(question), 200);
}

/** @throws RequestError 404, 503 */
export async function endConnection(call: Call): Promise<Response> {
  const { connections, audit } = call.options;
  const ended = await connections.end(call.path.slice(CONNECTIONS_PATH.length + 1));
  const { id, kind, key, address } = ended;
  const { name: who } = call.caller;
  audit?.note({ what: "end", who, from: call.address, outcome: "ok", id, kind, key, address });
  call.options.log.info(`Connection ${id} (${kind}) of ${address} was ended by an operator`);
  return jsonResponse({ ended }, 200);
}

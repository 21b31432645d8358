/** Alpaca's market data API over HTTP, over this server's own data. */
import type { QuestionContext } from "../commands/questions/stored.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import { answerHistory, type RestAnswer } from "./history.ts";
import { answerLatest, answerSnapshots } from "./latest.ts";
import { endpointOf } from "./rest-paths.ts";

export interface RestRequest {
  path: string;
  query: URLSearchParams;
  signal: AbortSignal;
}

/** @throws RequestError 400, 404, 503 */
export async function answerRest(
  { path, query, signal }: RestRequest,
  context: QuestionContext,
): Promise<RestAnswer> {
  const endpoint = endpointOf(path);
  if (endpoint === null) throw new RequestError(STATUS.notFound, `${path}: there is no such endpoint here`);
  const plain = (text: string): RestAnswer => ({ text, warnings: [] });
  switch (endpoint.kind) {
    case "history":
      return answerHistory(endpoint, query, context, signal);
    case "latest":
      return plain(await answerLatest(endpoint, query, context));
    case "snapshots":
      return plain(await answerSnapshots(endpoint.symbol, query, context));
  }
}

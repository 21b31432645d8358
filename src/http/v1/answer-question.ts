/** A request to a path of /v1: a question, or rows to store. */
import { readParameters as readChecked } from "../../commands/questions/parameters.ts";
import type { Call } from "../call.ts";
import { DOORS } from "./v1-doors.ts";
import { V1_PATHS, type V1Path } from "./v1-paths.ts";
import { readParameters } from "./v1-request.ts";
import { answerPosted } from "./v1-write.ts";

/** @throws RequestError */
export async function answerQuestion(path: V1Path, call: Call): Promise<Response> {
  const { parameters, answer } = DOORS[path];
  const ask = async (asked: Record<string, unknown>) => {
    call.demand(path === "/v1/sql" ? "sql" : "read");
    return answer(call, readChecked(path, parameters, asked) as never);
  };
  const written = V1_PATHS[path];
  if (written !== null && call.request.method === "POST") return answerPosted(call, written, ask);
  return ask(await readParameters(call));
}

/** What `doctor` finds out about another server that this one would stand in front of. */
import { parseUpstream } from "../../config/upstream-url.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { DiagnosisStep, Finding } from "../diagnosis.ts";

export async function* diagnoseRemote(dbFile: string): AsyncGenerator<DiagnosisStep> {
  yield { begin: "server", optional: false };
  const upstream = parseUpstream(dbFile);
  if (upstream === null) throw new Error("--db-file names no server"); // the options were checked
  const { authorization, http } = upstream;
  const subject = "server";
  let answer: Response;
  try {
    answer = await fetch(`${http}/health`, authorization === null ? {} : { headers: { authorization } });
  } catch (error) {
    yield {
      level: "fail",
      subject,
      finding: `no answer: ${messageOf(error)}`,
      advice: "start it, or look at the address and at what lies between; until then requests get 503",
    };
    return;
  }
  yield judge(answer.status, await answer.text());
}

function judge(status: number, text: string): Finding {
  const subject = "server";
  const database = databaseOf(text);
  if (status === 200 && database !== null)
    return { level: "ok", subject, finding: `it is healthy; its database is of type ${database}` };
  if (database !== null || status === 503) {
    const advice = "look there: run doctor on that machine, with that server's database";
    return { level: "fail", subject, finding: `it answers /health with ${status}`, advice };
  }
  return {
    level: "fail",
    subject,
    finding: `what answers there is no stock database server: /health gave ${status}`,
    advice: status === 401 ? "give user and password in the URL" : "look at the address and its path",
  };
}

function databaseOf(text: string): string | null {
  try {
    const { database } = JSON.parse(text) as { database?: { db_type?: unknown } };
    return typeof database?.db_type === "string" ? database.db_type : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}

/** Checks, for `doctor`, the server that this one would stand in front of. */
import { parseUpstream } from "../../config/upstream-url.ts";
import { type DiagnosisStep, type Finding, fail, ok } from "../diagnosis.ts";
import { lossReason } from "./loss-reason.ts";
import { readHealth } from "./upstream-health.ts";

const TIMEOUT_MS = 10_000;

export async function* diagnoseRemote(dbFile: string): AsyncGenerator<DiagnosisStep> {
  yield { begin: "server", optional: false };
  const upstream = parseUpstream(dbFile);
  if (upstream === null) throw new Error("--db-file names no server"); // the options were checked
  const { authorization, http } = upstream;
  try {
    const answer = await fetch(`${http}/health`, {
      ...(authorization === null ? {} : { headers: { authorization } }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    yield await judge(answer);
  } catch (error) {
    yield fail(
      "server",
      `no answer: ${lossReason(error)}`,
      "start it, or look at the address and at what lies between; until then requests get 503",
    );
  }
}

async function judge(answer: Response): Promise<Finding> {
  const subject = "server";
  const health = await readHealth(answer);
  switch (health.kind) {
    case "healthy":
      return ok(subject, `it is healthy; its database is of type ${health.database}`);
    case "unhealthy":
      return fail(
        subject,
        `it answers /health with ${answer.status}: ${health.refusal.message}`,
        "look there: run doctor on that machine, with that server's database",
      );
    case "stranger":
      return fail(
        subject,
        health.finding,
        answer.status === 401 ? "give user and password in the URL" : "look at the address and its path",
      );
  }
}

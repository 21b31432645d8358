import { afterEach, expect, test } from "bun:test";
import { serverTarget } from "./server-target.ts";
import { type SaveCommand, TargetError } from "./target.ts";

const COMMAND: SaveCommand = { command: "save_stock_data", params: { ticker: "T" } };

let running: Bun.Server<undefined> | null = null;
afterEach(async () => {
  await running?.stop(true);
  running = null;
});

/**
 * A server in trouble: gives these answers in turn, the last one for ever, and counts the requests.
 */
function serveAnswers(...answers: (() => Response)[]): { url: string; requests(): number } {
  let requests = 0;
  running = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch() {
      const answer = answers[Math.min(requests, answers.length - 1)]!;
      requests++;
      return answer();
    },
  });
  return { url: `http://127.0.0.1:${running.port}`, requests: () => requests };
}

const stored = (): Response => Response.json({ message: "saved" });
const busy = (): Response => Response.json({ error: "too many saves under way" }, { status: 503 });

async function failureOf(save: Promise<unknown>): Promise<TargetError> {
  try {
    await save;
  } catch (error) {
    if (error instanceof TargetError) return error;
    throw error;
  }
  throw new Error("expected the save to fail");
}

test("a busy server is asked again until it has stored the rows", async () => {
  const server = serveAnswers(busy, busy, stored);
  await serverTarget({ url: server.url, retryDelayMs: () => 0 }).save(COMMAND);
  expect(server.requests()).toBe(3);
});

test("a server's Retry-After is kept to", async () => {
  const server = serveAnswers(
    () => Response.json({ error: "away" }, { status: 503, headers: { "Retry-After": "0.3" } }),
    stored,
  );
  const startedAt = performance.now();
  await serverTarget({ url: server.url, retryDelayMs: () => 0 }).save(COMMAND);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
});

test("asking again ends with the signal", async () => {
  const server = serveAnswers(busy);
  const stop = new AbortController();
  const target = serverTarget({ url: server.url, retryDelayMs: () => 60_000, signal: stop.signal });
  const failure = failureOf(target.save(COMMAND));
  stop.abort();
  expect((await failure).message).toStartWith("stopped before");
});

test("asking again has an end", async () => {
  const server = serveAnswers(busy);
  const failure = await failureOf(serverTarget({ url: server.url, retryDelayMs: () => 0 }).save(COMMAND));
  expect(failure.message).toContain("8 attempts: too many saves under way");
  expect(server.requests()).toBe(8);
});

test("a refusal is final, and told in the server's words", async () => {
  const server = serveAnswers(() =>
    Response.json({ error: "bad ticker", details: "got 7" }, { status: 400 }),
  );
  const failure = await failureOf(serverTarget({ url: server.url, retryDelayMs: () => 0 }).save(COMMAND));
  expect(failure.message).toContain("bad ticker (got 7) (400 Bad Request)");
  expect(server.requests()).toBe(1);
});

test("a body over the server's limit, which has no words, says what to do", async () => {
  const server = serveAnswers(() => new Response(null, { status: 413 }));
  const failure = await failureOf(serverTarget({ url: server.url, retryDelayMs: () => 0 }).save(COMMAND));
  expect(failure.message).toContain("--batch");
});

test("a server that goes away for good is told after some attempts, one that never was there at once", async () => {
  const server = serveAnswers(stored);
  const target = serverTarget({ url: server.url, retryDelayMs: () => 0 });
  await target.save(COMMAND);
  await running?.stop(true);
  expect((await failureOf(target.save(COMMAND))).message).toContain("8 attempts: connection refused");

  const fresh = serverTarget({ url: server.url, retryDelayMs: () => 0 });
  expect((await failureOf(fresh.save(COMMAND))).message).toContain("Is the server running?");
});

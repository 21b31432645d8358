/** Answers are packed for clients that ask for it, and only for them. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { fillTicks } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { exchange } from "../wire/http-exchange.ts";

setDefaultTimeout(120_000);

async function ask(server: RunningServer, target: string, body: object | null, accepted: string | null) {
  const text = body === null ? "" : JSON.stringify(body);
  const head = [
    `${body === null ? "GET" : "POST"} ${target} HTTP/1.1`,
    "Host: localhost",
    ...(body === null ? [] : ["Content-Type: application/json", `Content-Length: ${text.length}`]),
    ...(accepted === null ? [] : [`Accept-Encoding: ${accepted}`]),
  ];
  const request = Buffer.from(`${head.join("\r\n")}\r\n\r\n${text}`);
  const { port } = server;
  const answer = await exchange({ port, request, isHead: false, untilClosed: false, deadlineMs: 30_000 });
  expect(answer.status).toBe(200);
  const coding = answer.headers.get("content-encoding") ?? null;
  const unpacked =
    coding === "gzip"
      ? gunzipSync(answer.body)
      : coding === "zstd"
        ? Bun.zstdDecompressSync(answer.body)
        : answer.body;
  return {
    coding,
    vary: answer.headers.get("vary"),
    length: answer.body.length,
    text: Buffer.from(unpacked).toString("utf8"),
  };
}

test("each kind of answer is the same, packed or not", async () => {
  await using server = await startServer();
  await fillTicks(server.url, "T", 60_000);
  const range = { ticker: "T", data_type: "trade" };
  const tick = (i: number) => ({ timestamp: 1_704_186_000 + i, price: i, size: 1 });
  const data = Array.from({ length: 20_000 }, (_, i) => tick(i));
  await server.command("save_realtime_data", {
    ticker: "U",
    data_type: "trade",
    index_col: "timestamp",
    data,
  });
  const kinds: [name: string, target: string, body: object | null][] = [
    ["rows, piece by piece", "/db_command", { command: "get_realtime_data", params: range }],
    [
      "some rows",
      "/db_command",
      { command: "get_realtime_data", params: { ...range, end_date: "2024-01-02T00:00:00.200Z" } },
    ],
    ["made as a whole", "/db_command", { command: "get_updates", params: { ticker: "U", since: 0 } }],
    [
      "SQL",
      `/api/execute_sql?sql_query=${encodeURIComponent("SELECT * FROM realtime_data LIMIT 9000")}`,
      null,
    ],
  ];
  for (const [name, target, body] of kinds) {
    const plain = await ask(server, target, body, null);
    expect([name, plain.coding]).toEqual([name, null]);
    expect(plain.length).toBeGreaterThan(10_000);
    for (const [accepted, coding] of [
      ["gzip, deflate", "gzip"],
      ["gzip, deflate, br, zstd", "zstd"],
    ] as const) {
      const packed = await ask(server, target, body, accepted);
      expect([name, packed.coding, packed.vary]).toEqual([name, coding, "Accept-Encoding"]);
      expect(packed.length).toBeLessThan(plain.length / 3);
      expect(packed.text === plain.text).toBe(true);
    }
    expect((await ask(server, target, body, "identity, br")).coding).toBeNull();
  }
});

test("a short answer stays as it is, and errors too", async () => {
  await using server = await startServer();
  const price = { command: "get_latest_price", params: { ticker: "T" } };
  expect((await ask(server, "/db_command", price, "gzip")).coding).toBeNull();
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-encoding": "gzip" },
    body: JSON.stringify({ command: `x${"y".repeat(9_000)}` }),
  });
  expect([answer.status, answer.headers.get("content-encoding")]).toEqual([400, null]);
});

/** docs/recipes.md: each address gives what the page says of it, and its line of pandas runs. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pythonEnvironment } from "../support/python-environment.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(300_000);

const PAGE = readFileSync(join(import.meta.dir, "../../docs/recipes.md"), "utf8");
const EXAMPLE = "http://localhost:8080";
const FROM = Date.UTC(2021, 2, 30);
const TO = Date.UTC(2021, 2, 31);
/** As Grafana writes them. */
const MACROS: [macro: string, value: string][] = [
  ["__from", String(FROM)],
  ["__to", String(TO)],
  ["__timeFrom", new Date(FROM).toISOString()],
  ["__timeTo", new Date(TO).toISOString()],
];

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: ["--sample"] });
});
afterAll(() => server[Symbol.asyncDispose]());

function blocksOf(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, "g"))].map((match) =>
    match[1]!.trim(),
  );
}

async function answerOf(address: string): Promise<string> {
  const filled = MACROS.reduce((text, [macro, value]) => text.replaceAll(`\${${macro}}`, value), address);
  const answer = await fetch(filled.replace(EXAMPLE, server.url));
  const text = await answer.text();
  expect([answer.status, text.slice(0, 200)]).toEqual([200, text.slice(0, 200)]);
  return text;
}

const BARS = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap";

test("each address gives the rows and names that the page tells", async () => {
  const addresses = blocksOf("url");
  expect(addresses).toHaveLength(4);
  const [json, csv, latest, excel] = (await Promise.all(addresses.map(answerOf))) as [
    string,
    string,
    string,
    string,
  ];
  expect(JSON.parse(json).bars.SPY).toEqual([
    { t: "2021-03-30T00:00:00Z", o: 394.35, h: 395.78, l: 393.0299, c: 394.73, v: 66174457 },
    { t: "2021-03-31T00:00:00Z", o: 395.35, h: 398, l: 395.33, c: 396.33, v: 90673494 },
  ]);
  expect(csv.trim().split("\r\n")).toEqual([
    BARS,
    "SPY,2021-03-30T00:00:00Z,394.35,395.78,393.0299,394.73,66174457,,",
    "SPY,2021-03-31T00:00:00Z,395.35,398,395.33,396.33,90673494,,",
  ]);
  expect(latest).toStartWith("symbol,timestamp,price,size,");
  expect(latest).toContain("\nIBM,2013-10-08T14:10:51.255000Z,180.4,100,");
  expect(excel).toStartWith(`${BARS}\r\nAAPL,2021-01-04T`);
  expect(excel).toContain("\nSPY,2021-01-04T");
});

test("the query of Power Query is the address above it", () => {
  const asked = new URL(blocksOf("url")[3]!).searchParams;
  const [script] = blocksOf("powerquery");
  for (const [name, value] of asked) expect(script).toContain(`${name} = "${value}"`);
});

const python = await pythonEnvironment();

test.skipIf(python === null)("the lines of pandas run", async () => {
  const [lines] = blocksOf("python");
  const program = lines!.replace(EXAMPLE, server.url);
  const run = Bun.spawn([python!, "-c", program], { stdout: "pipe", stderr: "pipe" });
  const errors = await new Response(run.stderr).text();
  expect([await run.exited, errors]).toEqual([0, ""]);
});

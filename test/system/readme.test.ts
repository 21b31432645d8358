/** The README's lines, run as a user pastes them. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const ROOT = join(import.meta.dir, "..", "..");

test("every line of the quick start works when pasted", async () => {
  await using server = await startServer({ flags: ["--sample"] });
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const lines = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((match) =>
    match[1]!.trim().split("\n"),
  );
  const pasted = lines
    .map((line) => line.replaceAll("localhost:8080", `localhost:${server.port}`))
    .map((line) =>
      line.replace(/^npx stock-db-server import/, `node bin/stock-db-server.js import --to ${server.url}`),
    )
    .map((line) =>
      line.replace(/^npx stock-db-server check/, `node bin/stock-db-server.js check ${server.url}`),
    );
  const curls = pasted.filter((line) => line.startsWith("curl"));
  const watch = pasted.find((line) => line.includes("new WebSocket"))!;
  const tools = pasted.filter((line) => line.startsWith("node bin/"));
  expect([curls.length, tools.length, typeof watch]).toEqual([5, 2, "string"]);

  const watcher = Bun.spawn(["bash", "-c", `exec ${watch}`], {
    cwd: ROOT,
    stdout: "pipe",
    stderr: "inherit",
  });
  const frames = watcher.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  const waitFor = async (text: string): Promise<void> => {
    while (!seen.includes(text)) {
      const { value, done } = await frames.read();
      if (done) throw new Error(`the watcher ended before ${text}: ${seen}`);
      seen += value;
    }
  };
  try {
    await waitFor("initial_price");
    const answers = curls.map((line) => Bun.spawnSync(["bash", "-c", line], { cwd: ROOT }).stdout.toString());
    const [bars, prices, , , saved] = answers.map((text) => (text.startsWith("{") ? JSON.parse(text) : null));
    const [months, joined] = answers.slice(2, 4).map((text) => text.trim().split("\n"));
    expect(months).toHaveLength(1 + 2 * 4);
    expect(months![1]).toStartWith("AAPL,2020-07-01T00:00:00Z,90.79");
    expect(joined).toHaveLength(1 + 3);
    expect(joined![0]).toContain("quote_bid_price");
    expect(bars.data).toHaveLength(3);
    expect(prices.prices).toEqual({ AAPL: 122.15, SPY: 396.33, IBM: 180.4 });
    expect(saved.message).toContain("saved successfully");
    await waitFor('"price":161.5');
  } finally {
    watcher.kill("SIGKILL");
    await watcher.exited;
  }
  for (const line of tools) {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["bash", "-c", line], { cwd: ROOT });
    expect({ line, exitCode, output: exitCode === 0 ? "" : `${stdout}${stderr}` }).toEqual({
      line,
      exitCode: 0,
      output: "",
    });
  }
});

/** The lines of docs/http-api.md, run as a user pastes them. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const PAGE = readFileSync(join(import.meta.dir, "../../docs/http-api.md"), "utf8");
const python = Bun.which("python3");

function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(
    (match) => match[1]!,
  );
}

function hasModule(name: string): boolean {
  return python !== null && Bun.spawnSync([python, "-c", `import ${name}`]).exitCode === 0;
}

test("every curl line of the page is answered", async () => {
  await using server = await startServer({ flags: ["--sample"] });
  const lines = blocks("sh").flatMap((block) => block.trim().split("\n"));
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const own = line
      .replace("localhost:8080", `localhost:${server.port}`)
      .replace(/^curl/, "curl -sS --fail-with-body");
    const { exitCode, stdout } = Bun.spawnSync(["bash", "-c", own]);
    const text = stdout.toString();
    expect({ line, exitCode, text: exitCode === 0 ? "" : text }).toEqual({ line, exitCode: 0, text: "" });
    expect(text).toMatch(/"t":"20|"first":"20|"ex_date":"20|^symbol,timestamp/);
  }
});

for (const block of blocks("python")) {
  const needed = ["pyarrow", "polars"].filter((name) => block.includes(`import ${name}`));
  const missing = python === null ? ["python3"] : needed.filter((name) => !hasModule(name));
  const name = `Python with ${needed.join(" and ") || "its own library"} reads as the page says`;
  const body = async (): Promise<void> => {
    await using server = await startServer({ flags: ["--sample"] });
    const code = block.replaceAll("localhost:8080", `localhost:${server.port}`);
    const { exitCode, stderr } = Bun.spawnSync([python!, "-c", code]);
    expect({ exitCode, error: stderr.toString() }).toEqual({ exitCode: 0, error: "" });
  };
  if (missing.length > 0) test.skip(`${name} (${missing.join(", ")} isn't installed)`, body);
  else test(name, body);
}

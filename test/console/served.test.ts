/** The console's page and files, as any client gets them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { $ } from "bun";
import { buildConsole } from "../support/build-console.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const PROJECT = join(import.meta.dir, "../..");
const DIST = join(PROJECT, "console/dist");
/** Of all files together, packed as browsers get them. */
const BYTES_MAX = 300 * 1_000;
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

let server: RunningServer;
beforeAll(async () => {
  await buildConsole();
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  const options = { method, headers, redirect: "manual", decompress: false } as const;
  return fetch(server.url + path, options);
}

/** Names of its files, without those that are packed. */
function assets(): string[] {
  return readdirSync(join(DIST, "console")).filter((name) => !/\.(br|gz)$/.test(name));
}

test("the page has a strict policy, whose nonce is another one each time, and is never kept", async () => {
  const [first, second] = [await ask("/console"), await ask("/console")];
  expect(first.status).toBe(200);
  expect(first.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(first.headers.get("cache-control")).toBe("no-store");
  const policy = first.headers.get("content-security-policy")!;
  const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
  expect(policy.replace(nonce, "N")).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-N'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
  );
  const page = await first.text();
  expect(page).toContain(`nonce="${nonce}"`);
  expect(page).not.toContain("NONCE");
  expect(page).not.toMatch(/https?:\/\//);
  expect(second.headers.get("content-security-policy")).not.toContain(nonce);
  const head = await ask("/console", {}, "HEAD");
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(page.length)]);
});

test("each file has a hash in its name, may be kept for ever, and comes packed to who takes that", async () => {
  for (const name of assets()) {
    const plain = readFileSync(join(DIST, "console", name));
    for (const [coding, unpack] of [
      ["br", brotliDecompressSync],
      ["gzip", gunzipSync],
      ["identity", (bytes: Buffer) => bytes],
    ] as const) {
      const answer = await ask(`/console/${name}`, { "accept-encoding": coding });
      expect([name, answer.status]).toEqual([name, 200]);
      const isPacked = coding !== "identity" && existsSync(join(DIST, "console", `${name}.br`));
      expect(answer.headers.get("content-encoding")).toBe(isPacked ? coding : null);
      expect(answer.headers.get("vary")).toContain("Accept-Encoding");
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      const isKept = name !== "licenses.md";
      expect(answer.headers.get("cache-control")).toBe(
        isKept ? "public, max-age=31536000, immutable" : "no-cache",
      );
      const body = Buffer.from(await answer.arrayBuffer());
      expect((isPacked ? unpack(body) : body).equals(plain)).toBe(true);
      const head = await ask(`/console/${name}`, { "accept-encoding": coding }, "HEAD");
      expect(head.headers.get("content-length")).toBe(String(body.length));
    }
  }
  expect(
    (await ask(`/console/${assets()[0]}`, { "accept-encoding": "br;q=0, gzip" })).headers.get(
      "content-encoding",
    ),
  ).toBe(existsSync(join(DIST, "console", `${assets()[0]}.gz`)) ? "gzip" : null);
});

test("what isn't there, or lies elsewhere, is 404; nothing but reading is taken", async () => {
  for (const name of [
    "nothing.js",
    "../index.html",
    "..%2findex.html",
    "index.html",
    "%2e%2e/index.html",
    "",
  ]) {
    const { status } = await ask(`/console/x/${name}`);
    expect([name, status]).toEqual([name, 404]);
  }
  expect((await ask("/console/nothing.js")).status).toBe(404);
  expect((await ask("/console", {}, "POST")).status).toBe(405);
  const slash = await ask("/console/");
  expect([slash.status, slash.headers.get("location")]).toEqual([302, "../console"]);
});

test("a browser at / is led to it; programs get health, whatever they accept", async () => {
  const browser = await ask("/", { accept: BROWSER });
  expect([browser.status, browser.headers.get("location")]).toEqual([302, "console"]);
  expect((await ask("/", { accept: BROWSER }, "HEAD")).status).toBe(302);
  for (const accept of [
    "*/*",
    "application/json",
    "application/json, text/html",
    "text/html;q=0.5, */*",
    "",
  ]) {
    const answer = await ask("/", accept === "" ? {} : { accept });
    expect([accept, answer.status]).toEqual([accept, 200]);
    expect(((await answer.json()) as { status: string }).status).toBe("healthy");
  }
  expect((await ask("/health", { accept: BROWSER })).status).toBe(200);
  expect((await ask("/", { accept: BROWSER }, "POST")).status).toBe(200);
});

test("a page of another host's name gets nothing", async () => {
  expect((await ask("/console", { host: "elsewhere.example" })).status).toBe(403);
});

test("all files together are small, and their licences are told", () => {
  let bytes = 0;
  for (const name of assets()) {
    const path = join(DIST, "console", name);
    bytes += statSync(existsSync(`${path}.br`) ? `${path}.br` : path).size;
  }
  console.log(`the console: ${Math.round(bytes / 1_000)} KB packed`);
  expect(bytes).toBeLessThan(BYTES_MAX);
  const licenses = readFileSync(join(DIST, "console/licenses.md"), "utf8");
  for (const name of ["preact", "@preact/signals", "lightweight-charts"]) expect(licenses).toContain(name);
  expect(licenses).toContain("TradingView Lightweight Charts™");
});

test("without its files, the page says how it is built, and all else is served", async () => {
  using dir = tempDir();
  for (const name of ["src", "package.json", "tsconfig.json"])
    cpSync(join(PROJECT, name), join(dir.path, name), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(dir.path, "node_modules"));
  const launcher = [process.execPath, "--no-orphans", join(dir.path, "src/main.ts"), "serve"];
  await using bare = await startServer({ launcher });
  const answer = await fetch(`${bare.url}/console`);
  expect(answer.status).toBe(503);
  expect(await answer.text()).toContain("npm run build:console");
  expect((await fetch(`${bare.url}/console/x.js`)).status).toBe(404);
  expect((await fetch(`${bare.url}/`)).status).toBe(200);
  // As soon as they are there, they are served.
  cpSync(DIST, join(dir.path, "console/dist"), { recursive: true });
  expect((await fetch(`${bare.url}/console`)).status).toBe(200);
});

test("without Vite, what npm runs leaves what was built as it is, and fails nothing", async () => {
  using dir = tempDir();
  cpSync(join(PROJECT, "scripts/build-console.js"), join(dir.path, "scripts/build-console.js"));
  const run = (...flags: string[]) =>
    $`node scripts/build-console.js ${flags}`.cwd(dir.path).nothrow().quiet();
  const told = await run("--if-possible");
  expect([told.exitCode, told.stderr.toString()]).toEqual([
    0,
    "The console isn't built: Vite isn't installed; npm ci --include=dev installs it\n",
  ]);
  expect((await run()).exitCode).toBe(1);
  cpSync(DIST, join(dir.path, "console/dist"), { recursive: true });
  expect((await run("--if-possible")).stderr.toString()).toStartWith("The console stays as it was built");
  expect(existsSync(join(dir.path, "console/dist/index.html"))).toBe(true);
  rmSync(join(dir.path, "console"), { recursive: true });
});

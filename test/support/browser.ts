/**
 * The console in a real browser: Debian's Chromium, driven by playwright-core. Where there is none,
 * the tests are skipped and say so.
 */
import { afterAll, expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { buildConsole } from "./build-console.ts";

const PROJECT = join(import.meta.dir, "../..");
const AXE = join(PROJECT, "node_modules/axe-core/axe.min.js");
const IMAGES = join(PROJECT, "docs/images");
/** Set, pictures for the documentation are made anew. */
const PICTURES = "CONSOLE_PICTURES";
const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Only a test that is about to fail waits so long. */
const WAIT_MS = 30_000;

const program = PROGRAMS.find((path) => existsSync(path));

export const hasBrowser = program !== undefined;
if (!hasBrowser)
  console.log(`the console isn't tested: that needs Chromium, as apt-get install chromium brings it`);

export interface VisitOptions {
  /** Behind the address of the server; default: the console. */
  path?: string;
  /** Signed in with it. */
  key?: string;
  width?: number;
  height?: number;
  isDark?: boolean;
  /** What the browser's console may say: all else is a problem. */
  expected?: RegExp[];
}

export interface ConsoleVisit extends AsyncDisposable {
  page: Page;
  /** What its console said, what broke its policy, what it asked another host for. */
  problems: string[];
}

/** @returns opens the console of a server. The browser starts with the first visit. */
export function useBrowser(): (url: string, options?: VisitOptions) => Promise<ConsoleVisit> {
  let browser: Promise<Browser> | null = null;
  afterAll(async () => (await browser)?.close());
  return async (url, options = {}) => {
    browser ??= start();
    return await visit(await browser, url, options);
  };
}

async function start(): Promise<Browser> {
  await buildConsole();
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  return await chromium.launch({ executablePath: program!, args });
}

async function visit(browser: Browser, url: string, options: VisitOptions): Promise<ConsoleVisit> {
  const { path = "/console", key, width = 1200, height = 760, isDark = false, expected = [] } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: isDark ? "dark" : "light",
    // The marks of new prices would make each picture another one.
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(WAIT_MS);
  if (key !== undefined)
    await context.addInitScript((text) => sessionStorage.setItem("stock-db.key", text), key);
  const page = await context.newPage();
  const problems: string[] = [];
  const note = (problem: string) => {
    if (!expected.some((pattern) => pattern.test(problem))) problems.push(problem);
  };
  page.on("console", (message) => note(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => note(`thrown: ${error.stack ?? error.message}`));
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== url)
      note(`asked another host: ${request.url()}`);
  });
  await page.goto(url + path);
  return { page, problems, [Symbol.asyncDispose]: () => context.close() };
}

/** Of what is on the page now, by axe: labels, roles, contrast, order of headings and others. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(readFileSync(AXE, "utf8"));
  const found = await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: { run(): Promise<Violations> } }).axe.run();
    return violations.map(
      ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`,
    );
  });
  expect(found).toEqual([]);
}

interface Violations {
  violations: { id: string; help: string; nodes: { html: string }[] }[];
}

/** For the documentation, if pictures are wanted. @param name of its file, without `.png` */
export async function takePicture(page: Page, name: string): Promise<void> {
  if (process.env[PICTURES] === undefined) return;
  mkdirSync(IMAGES, { recursive: true });
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
}

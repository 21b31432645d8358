/** The pages say what the code does. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { COMMANDS } from "../../src/commands/index.ts";
import { settingsTable } from "../../src/config/render-settings.ts";
import { DECLARATIONS, type TakeOver } from "../../src/config/setting-table.ts";
import * as codes from "../../src/protocol/codes.ts";
import { ENGINES } from "../../src/storage/engines.ts";
import { KIND_NAMES, kindOf } from "../../src/storage/model/kinds.ts";

const ROOT = join(import.meta.dir, "..", "..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

test("the README's table of settings is that of the declarations (bun scripts/write-settings-table.ts)", () => {
  expect(read("README.md")).toContain(`<!-- settings -->\n${settingsTable().trim()}\n<!-- /settings -->`);
});

test("docs/signals.md says of each setting how SIGHUP takes it over", () => {
  const page = read("docs/signals.md");
  const start = page.indexOf("## Settings that are read again");
  const [, atOnce, byNewWorkers, others] = page.slice(start).split(/\n- /) as [
    string,
    string,
    string,
    string,
  ];
  const isListed = (list: string, flag: string): boolean =>
    list.includes(`\`${flag}\``) || list.includes(`\`${flag.split("-", 3).join("-")}-…\``);
  for (const { flag, takeOver } of Object.values<{ flag: string; takeOver?: TakeOver }>(DECLARATIONS))
    expect([flag, isListed(atOnce, flag), isListed(byNewWorkers, flag)]).toEqual([
      flag,
      takeOver === "at once",
      takeOver === "by new workers",
    ]);
  expect(others).toStartWith("All others");
});

test("docs/commands.md lists exactly the commands there are", () => {
  const listed = [...read("docs/commands.md").matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]!);
  const supported = [...COMMANDS.values()].filter((command) => !command.about.startsWith("Not supported"));
  expect(listed.sort()).toEqual(supported.map((command) => command.name).sort());
});

test("docs/commands.md lists the parameters of each command", () => {
  const page = read("docs/commands.md");
  for (const { name, params, tolerated = [] } of COMMANDS.values()) {
    const cell = new RegExp(`^\\| \`${name}\` \\| (.*?) \\|`, "m").exec(page)?.[1];
    if (cell === undefined) continue; // not supported
    const words = [...cell.matchAll(/`([a-z_]+)`/g)].map(([, word]) => word!);
    expect({ name, missing: params.filter((param) => !words.includes(param)) }).toEqual({
      name,
      missing: [],
    });
    // Each part of the cell begins with a parameter; what follows may be its values.
    const first = cell.split(";").flatMap((part) => /`([a-z_]+)`/.exec(part)?.[1] ?? []);
    expect({ name, undeclared: first.filter((word) => !params.includes(word)) }).toEqual({
      name,
      undeclared: [],
    });
    expect({ name, untold: tolerated.filter((word) => !page.includes(`\`${word}\``)) }).toEqual({
      name,
      untold: [],
    });
  }
});

test("docs/sql.md lists the tables and their columns", () => {
  const page = read("docs/sql.md");
  const columns = KIND_NAMES.map(kindOf).flatMap(({ table, stamp, part, values }) => [
    table,
    stamp.name,
    ...(part === null ? [] : [part]),
    ...values.map(({ name }) => name),
  ]);
  expect(columns.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test("ARCHITECTURE.md says of each engine where its parts run", () => {
  const architecture = read("ARCHITECTURE.md");
  for (const { names, placement, keepsAnswers } of ENGINES) {
    const title = Object.values(names)[0];
    const row = architecture.split("\n").find((line) => line.startsWith(`| ${title} | `)) ?? "";
    const cells = row
      .split("|")
      .slice(2, -1)
      .map((cell) => /\w+/.exec(cell)?.[0]);
    const { reads, saves, sql } = placement;
    expect([title, ...cells]).toEqual([title, reads, saves, sql, keepsAnswers ? "yes" : "no"]);
  }
});

test("every link between the pages leads to a file", () => {
  const broken: string[] = [];
  for (const page of [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    ...new Glob("docs/*.md").scanSync(ROOT),
    ...new Glob("src/**/DESIGN.md").scanSync(ROOT),
    "sample/README.md",
  ]) {
    for (const [, target] of read(page).matchAll(/\]\(([^)#]+?)(?:#[^)]*)?\)/g)) {
      if (!/^https?:/.test(target!) && !existsSync(join(ROOT, dirname(page), target!)))
        broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

test("docs/limits.md names modules that exist", () => {
  const modules = [...read("docs/limits.md").matchAll(/`([\w-]+(?:\/[\w-]+)+\.ts)`/g)].map(
    (match) => match[1]!,
  );
  expect(modules.length).toBeGreaterThan(10);
  expect(modules.filter((module) => !existsSync(join(ROOT, "src", module)))).toEqual([]);
});

test("docs/commands.md lists the statuses of protocol/codes.ts", () => {
  const listed = [...read("docs/commands.md").matchAll(/^\| (\d{3}) \| .+ \|$/gm)].map(
    ([, status]) => status,
  );
  expect(listed).toEqual(Object.values(codes.STATUS).map(String));
});

test("the code has the statuses of errors from protocol/codes.ts, and no number", () => {
  const numbers: string[] = [];
  for (const path of new Glob("src/**/*.ts").scanSync(ROOT)) {
    if (path.endsWith(".test.ts")) continue;
    for (const [, status] of read(path).matchAll(
      /(?:(?:RequestError|ForeignRefusal|super)\(\s*|[sS]tatus(?::| [!=]==| \?\?) )([45]\d\d)\b/g,
    ))
      if (status !== "401") numbers.push(`${path}: ${status}`); // a proxy's
  }
  expect(numbers).toEqual([]);
});

test("docs/live-updates.md lists the close codes of protocol/codes.ts", () => {
  const sent = Object.entries(codes).filter(([name]) => /^CLOSE_[A-Z_]+(?<!_MAX)$/.test(name));
  // Bun's own: a connection that broke, and a message that is too large.
  const expected = [1006, 1009, ...sent.map(([, code]) => Number(code))].sort((a, b) => a - b);
  const listed = [...read("docs/live-updates.md").matchAll(/^\| (\d{4}) \|/gm)].map((match) =>
    Number(match[1]),
  );
  expect(listed).toEqual(expected);
});

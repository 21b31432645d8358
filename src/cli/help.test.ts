import { expect, test } from "bun:test";
import { DECLARATIONS, SETTING_NAMES } from "../config/setting-table.ts";
import { helpText, SUBCOMMANDS } from "./help.ts";

test("the general page names every subcommand and every flag of the server", () => {
  for (const subcommand of SUBCOMMANDS) expect(helpText()).toContain(`  ${subcommand} `);
  for (const name of SETTING_NAMES) expect(helpText()).toContain(`  ${DECLARATIONS[name].flag}`);
  expect(helpText("serve")).toBe(helpText());
});

test("a subcommand has its own page", () => {
  expect(helpText("check")).toStartWith("Usage: stock-db-server check");
  expect(helpText("import")).toStartWith("Usage: stock-db-server import");
  expect(helpText("constructor")).toBe(helpText());
});

/** Puts the table of settings, made from their declarations, into the README. */
import { join } from "node:path";
import { settingsTable } from "../src/config/render-settings.ts";

const path = join(import.meta.dir, "..", "README.md");
const readme = await Bun.file(path).text();
await Bun.write(path, withSettingsTable(readme));

export function withSettingsTable(text: string): string {
  return text.replace(
    /(<!-- settings -->\n)[\s\S]*(<!-- \/settings -->)/,
    (_, start: string, end: string) => `${start}${settingsTable().trim()}\n${end}`,
  );
}

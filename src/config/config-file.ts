/** The file of `--config`: settings under the names of their flags, in TOML. */
import { readFileSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";
import { quoted, UsageError } from "./usage-error.ts";

/** A setting in a file, as text, as a flag would have it. */
export interface FileEntry {
  name: string;
  text: string;
}

/** @param source the flag or variable that named the file. @throws UsageError */
export function readConfigFile(path: string, source: string): FileEntry[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${source}: ${messageOf(error)}`);
  }
  let values: object;
  try {
    values = Bun.TOML.parse(text);
  } catch (error) {
    throw new UsageError(`${source} ${path}: expected TOML: ${messageOf(error)}`);
  }
  return Object.entries(values).map(([name, value]) => ({
    name,
    text: textOf(value, `${path}: ${quoted(name)}`),
  }));
}

function textOf(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "bigint")
    return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(",");
  throw new UsageError(`${where}: expected a text, a number, true or false, or a list of texts`);
}

/** A secret that lies in a file of its own. @throws UsageError */
export function readSecretFile(path: string, variable: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new UsageError(`${variable}: ${messageOf(error)}`);
  }
}

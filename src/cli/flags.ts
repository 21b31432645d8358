/** The command lines of subcommands. Errors are one line that names subcommand and flag. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { redact } from "../config/redact.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import { messageOf } from "../protocol/message-of.ts";

type Flags = NonNullable<ParseArgsConfig["options"]>;
type Parsed<F extends Flags> = ReturnType<typeof parseArgs<{ allowPositionals: true; options: F }>>;

export const DEFAULT_SERVER = "http://localhost:8080";

/** @throws UsageError for an unknown flag, a missing value, or an unexpected argument. */
export function parseFlags<const F extends Flags>(
  command: string,
  argv: string[],
  flags: F,
  { allowPositionals = false }: { allowPositionals?: boolean } = {},
): Parsed<F> {
  try {
    return parseArgs({ args: argv, allowPositionals, options: flags }) as Parsed<F>;
  } catch (error) {
    const message = messageOf(error);
    // The rest of the message explains "--", which nothing here needs.
    throw new UsageError(`${command}: ${message.split(". ", 1)[0]}; see ${command} --help`);
  }
}

/**
 * @param label Command and flag.
 * @returns the URL without a slash at its end.
 * @throws UsageError
 */
export function readServerUrl(label: string, text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${label} ${quoted(redact(text))}: expected a URL such as ${DEFAULT_SERVER}`);
  }
  return url.href.replace(/\/+$/, "");
}

/**
 * Reads a whole number from 1 on.
 * @param label Command and flag.
 * @returns null when it isn't given.
 * @throws UsageError
 */
export function readCount(
  label: string,
  text: string | undefined,
  max: number,
  expected = "a whole number",
): number | null {
  if (text === undefined) return null;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > max) {
    throw new UsageError(`${label} ${quoted(text)}: expected ${expected} from 1 to ${max}`);
  }
  return count;
}

/**
 * Reads names separated by commas, from a flag that may be repeated.
 * @param label Command and flag.
 * @returns each name once; null without the flag.
 * @throws UsageError
 */
export function readNames(label: string, given: string[] | undefined, expected = "names"): string[] | null {
  if (given === undefined) return null;
  const names = given.flatMap((list) => list.split(",")).filter((name) => name !== "");
  if (names.length === 0) throw new UsageError(`${label} "": expected ${expected}, separated by commas`);
  return [...new Set(names)];
}

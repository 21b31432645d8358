/** The command lines of subcommands. Errors are one line that names subcommand and flag. */
import type { parseArgs } from "node:util";
import { type Flag, readCommandLine, strayArgument } from "../config/command-line.ts";
import { redact } from "../config/redact.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import { parseBound, type StampType, TimestampError } from "../market/timestamp.ts";
import { namesIn } from "../protocol/name-list.ts";
import { USAGE_EXIT } from "../supervisor/control.ts";

type Parsed<F extends Record<string, Flag>> = ReturnType<
  typeof parseArgs<{ allowPositionals: true; options: F }>
>;

export const DEFAULT_SERVER = "http://localhost:8080";

/** @throws UsageError As `readCommandLine`, and for an unexpected argument. */
export function parseFlags<const F extends Record<string, Flag>>(
  command: string,
  argv: string[],
  flags: F,
  { allowPositionals = false }: { allowPositionals?: boolean } = {},
): Parsed<F> {
  const { values, positionals } = readCommandLine(argv, flags, command);
  if (!allowPositionals && positionals.length > 0) throw strayArgument(positionals[0]!, command);
  return { values, positionals } as Parsed<F>;
}

/**
 * The start of every subcommand: reads its flags, or prints its help or its error.
 * @param parse Returns null when help was asked for.
 * @returns the options, or the exit code after a help or error was printed.
 */
export function readOptions<T extends object>(parse: () => T | null, help: string): T | number {
  let options: T | null;
  try {
    options = parse();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return USAGE_EXIT;
  }
  if (options !== null) return options;
  process.stdout.write(help);
  return 0;
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
 * @param label Command and flag.
 * @returns in the stored form.
 * @throws UsageError
 */
export function readTime(label: string, text: string, edge: "start" | "end", form: StampType): string {
  try {
    const stamp = parseBound(text, edge, form);
    if (stamp !== null) return stamp;
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error;
  }
  throw new UsageError(`${label} ${quoted(text)}: expected a date or time such as 2024-01-02T14:30`);
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
  const names = given.flatMap(namesIn).filter((name) => name !== "");
  if (names.length === 0) throw new UsageError(`${label} "": expected ${expected}, separated by commas`);
  return [...new Set(names)];
}

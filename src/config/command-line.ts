/** Reads every command line, of `serve` and of the subcommands, and says what is wrong with it. */
import { type ParseArgsOptionDescriptor, parseArgs } from "node:util";
import { suggest } from "./nearest.ts";
import { redact, redactIfConnection } from "./redact.ts";
import { quoted, UsageError } from "./usage-error.ts";

export interface Flag extends ParseArgsOptionDescriptor {
  /** What a value has to be, to follow "expected". */
  expected?: string;
  /** A switch that may be given its word, as in `--sql-get=off`. */
  takesWord?: boolean;
}

/**
 * @param command Empty for `serve`, the default.
 * @throws UsageError An unknown flag, one without its value, or with a value that it doesn't take.
 */
export function readCommandLine<const F extends Record<string, Flag>>(
  argv: readonly string[],
  flags: F,
  command = "",
) {
  const args = [...argv];
  const parsed = parseArgs({ args, options: flags, strict: false, allowPositionals: true, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const fail = (reason: string) => new UsageError(`${labelOf(command)}${rawName}: ${reason}`);
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined) throw unknownFlag(rawName.startsWith("--") ? rawName : argv[token.index]!);
    // The parser takes the next argument as the value, even when it is a flag.
    if (flag.type === "string" && (value === undefined || (!inlineValue && value.startsWith("--"))))
      throw fail(`expected ${flag.expected ?? "a value"}, got no value`);
    if (flag.type === "boolean" && value !== undefined && !flag.takesWord)
      throw fail(`takes no value, got ${quoted(redactIfConnection(value))}`);
  }
  return parsed;

  function unknownFlag(given: string): UsageError {
    const shown = quoted(redactIfConnection(given)).slice(1, -1);
    const hint = suggest(
      given,
      [...Object.keys(flags), "help", "version"].map((name) => `--${name}`),
    );
    return new UsageError(`${labelOf(command)}${shown}: no such flag${hint || seeHelp(command)}`);
  }
}

export type CommandLineToken = ReturnType<typeof readCommandLine>["tokens"][number];

/** The argument is redacted: it may be a connection string whose flag was forgotten. */
export function strayArgument(argument: string, command = ""): UsageError {
  const shown = quoted(redact(argument));
  return new UsageError(`${labelOf(command)}${shown}: expected a flag${seeHelp(command)}`);
}

function labelOf(command: string): string {
  return command === "" ? "" : `${command}: `;
}

function seeHelp(command: string): string {
  return command === "" ? ", see --help" : `, see ${command} --help`;
}

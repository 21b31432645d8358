/**
 * Reads the settings of the server from its command line and environment. setting-table.ts declares
 * each of them. A flag beats the environment, which beats the file of `--config`, which beats the
 * default.
 */

import { OWN_KEY_VARIABLE } from "../access/own-key.ts";
import { type CommandLineToken, type Flag, readCommandLine, strayArgument } from "./command-line.ts";
import { readConfigFile, readSecretFile } from "./config-file.ts";
import { suggest } from "./nearest.ts";
import { IGNORED_FLAGS, SYNONYMS } from "./python-flags.ts";
import { redactIfConnection } from "./redact.ts";
import {
  DECLARATIONS,
  type Declaration,
  ENVIRONMENT_PREFIX,
  environmentName,
  SETTING_NAMES,
  type SettingName,
  UNITS,
} from "./setting-table.ts";
import { quoted, UsageError } from "./usage-error.ts";

export type Settings = {
  -readonly [K in SettingName]: (typeof DECLARATIONS)[K] extends Declaration<infer T> ? T : never;
};

export const SETTING_COUNT = SETTING_NAMES.length;

export type LogLevel = Settings["logLevel"];
export type LogFormat = Settings["logFormat"];
export type AccessLog = Settings["accessLog"];
export type Durability = Settings["durability"];

type Wants = "run" | "help" | "version" | "print-config";

export interface ParsedSettings {
  settings: Settings;
  /** Where each value came from: "default", or the name of the flag or variable. */
  sources: Record<SettingName, string>;
  /** Flags of the Python server that were given and have no effect here, each once. */
  ignored: string[];
  wants: Wants;
}

/**
 * @param argv What follows the subcommand.
 * @param env Usually process.env; an empty variable counts as not set.
 * @throws UsageError Unknown flag or STOCK_DB_ variable, missing or wrong value. It isn't thrown
 *   when help is asked for: whoever got the flags wrong needs it most.
 */
export function parseSettings(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): ParsedSettings {
  const asked = argv.map((argument) => INFORMATION_FLAGS[argument]).find((wants) => wants !== undefined);
  if (asked !== undefined) return { ...resolve(new Map()), ignored: [], wants: asked };

  const line = readFlags(argv);
  const given = readFile(line.config ?? (env[CONFIG_VARIABLE] || null), line.config === null);
  for (const [name, value] of readEnvironment(env)) given.set(name, value);
  for (const [name, value] of line.given) given.set(name, value);
  return { ...resolve(given), ignored: line.ignored, wants: line.printConfig ? "print-config" : "run" };
}

const INFORMATION_FLAGS: Record<string, "help" | "version" | undefined> = {
  "--help": "help",
  "-h": "help",
  "--version": "version",
};

const CONFIG_VARIABLE = `${ENVIRONMENT_PREFIX}CONFIG`;
/** Behind the name of a variable: its value lies in this file. */
const IN_FILE = "_FILE";
/** Variables with the prefix that are no settings: of a child, the launcher and a client. */
const OTHER_VARIABLES = [
  "STOCK_DB_CHILD",
  "STOCK_DB_BUN",
  OWN_KEY_VARIABLE,
  `${OWN_KEY_VARIABLE}_FILE`,
  CONFIG_VARIABLE,
];

/** A value with the flag or variable that it came from. */
type Given = Map<SettingName, { value: Settings[SettingName]; source: string }>;

const BY_FLAG = new Map<string, SettingName>(SETTING_NAMES.map((name) => [DECLARATIONS[name].flag, name]));
const BY_VARIABLE = new Map<string, SettingName>(SETTING_NAMES.map((name) => [environmentName(name), name]));
const CONFIG_FLAG = "config";
/** By name, without the dashes. */
const FLAGS: Record<string, Flag> = {
  ...Object.fromEntries(SETTING_NAMES.map((name) => [DECLARATIONS[name].flag.slice(2), flagOf(name)])),
  ...SYNONYMS,
  ...IGNORED_FLAGS,
  [CONFIG_FLAG]: { type: "string", expected: "the path of a file in TOML" },
  "print-config": { type: "boolean" },
};

function flagOf(name: SettingName): Flag {
  const { expected, placeholder } = DECLARATIONS[name].type;
  return placeholder === null ? { type: "boolean", takesWord: true } : { type: "string", expected };
}

function readEnvironment(env: Record<string, string | undefined>): Given {
  const given: Given = new Map();
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || OTHER_VARIABLES.includes(variable)) continue;
    const inFile = variable.endsWith(IN_FILE)
      ? BY_VARIABLE.get(variable.slice(0, -IN_FILE.length))
      : undefined;
    if (inFile !== undefined) {
      if (env[environmentName(inFile)])
        throw new UsageError(`${variable}: got it beside ${environmentName(inFile)}, expected one of them`);
      if (text)
        given.set(inFile, {
          value: readValue(inFile, readSecretFile(text, variable), variable),
          source: variable,
        });
      continue;
    }
    const name = BY_VARIABLE.get(variable);
    if (name === undefined) {
      const hint = suggest(variable, [...BY_VARIABLE.keys()]);
      throw new UsageError(`${variable}: no such setting${hint || ", see --help"}`);
    }
    if (text !== undefined && text !== "")
      given.set(name, { value: readValue(name, text, variable), source: variable });
  }
  return given;
}

/** @param isOfVariable the environment has named it. */
function readFile(path: string | null, isOfVariable: boolean): Given {
  const given: Given = new Map();
  if (path === null) return given;
  for (const { name: key, text } of readConfigFile(path, isOfVariable ? CONFIG_VARIABLE : "--config")) {
    const name = BY_FLAG.get(`--${key}`);
    if (name === undefined) {
      const hint = suggest(
        key,
        [...BY_FLAG.keys()].map((flag) => flag.slice(2)),
      );
      throw new UsageError(`${path}: ${quoted(key)}: no such setting${hint || ", see --help"}`);
    }
    given.set(name, { value: readValue(name, text, `${path}: ${key}`), source: path });
  }
  return given;
}

interface ReadFlags {
  given: Given;
  ignored: string[];
  printConfig: boolean;
  /** The file of settings; null: none. */
  config: string | null;
}

function readFlags(argv: readonly string[]): ReadFlags {
  const given: Given = new Map();
  let config: string | null = null;
  const ignored = new Set<string>();
  let printConfig = false;
  const { tokens } = readCommandLine(argv, FLAGS);
  for (const [i, token] of tokens.entries()) {
    if (token.kind === "positional" && !isWordOfSwitch(token.value, tokens[i - 1]))
      throw strayArgument(token.value);
    if (token.kind !== "option") continue;
    const synonym = own(SYNONYMS, token.name);
    const flag = synonym?.means ?? `--${token.name}`;
    const name = BY_FLAG.get(flag);
    if (name !== undefined) {
      const next = tokens[i + 1];
      const word = next?.kind === "positional" && isWordOfSwitch(next.value, token) ? next.value : "true";
      add(given, name, readValue(name, synonym?.value ?? token.value ?? word, flag), flag);
    } else if (token.name === CONFIG_FLAG) config = token.value ?? null;
    else if (own(IGNORED_FLAGS, token.name) !== undefined) ignored.add(flag);
    else printConfig = true;
  }
  return { given, ignored: [...ignored], printConfig, config };
}

/** A switch may be followed by its word, as in `--sql-get off`. */
function isWordOfSwitch(text: string, before?: CommandLineToken): boolean {
  if (before?.kind !== "option" || before.value !== undefined) return false;
  return own(FLAGS, before.name)?.takesWord === true && SWITCH_WORDS.has(text.toLowerCase());
}

const SWITCH_WORDS = new Set(["on", "off", "true", "false"]);

function add(given: Given, name: SettingName, value: Settings[SettingName], source: string): void {
  const merge = DECLARATIONS[name].type.merge as Merge | undefined;
  const before = given.get(name);
  given.set(name, { value: before && merge ? merge(before.value, value) : value, source });
}

type Merge = (before: Settings[SettingName], now: Settings[SettingName]) => Settings[SettingName];

/**
 * The value of one setting, in the unit that users write.
 *
 * @param source The flag or variable that the text came from.
 * @throws UsageError
 */
export function readValue<K extends SettingName>(name: K, text: string, source: string): Settings[K] {
  const declaration = DECLARATIONS[name] as Declaration<Settings[K]>;
  const value = declaration.type.read(text);
  if (value === undefined) {
    const hint = declaration.type.hint?.(text) ?? "";
    throw new UsageError(
      `${source}: expected ${declaration.type.expected}, got ${quoted(redactIfConnection(text))}${hint}`,
    );
  }
  return value;
}

function resolve(given: Given): { settings: Settings; sources: Record<SettingName, string> } {
  const settings: Partial<Record<SettingName, unknown>> = {};
  const sources: Partial<Record<SettingName, string>> = {};
  for (const name of SETTING_NAMES) {
    const declaration = DECLARATIONS[name] as Declaration<unknown>;
    const value = given.has(name) ? given.get(name)!.value : defaultOf(declaration, settings as Settings);
    settings[name] = fromUnit(declaration, declaration.resolve?.(value) ?? value);
    sources[name] = given.get(name)?.source ?? "default";
  }
  // The loop has set every name of the table.
  return { settings: settings as unknown as Settings, sources: sources as Record<SettingName, string> };
}

/** The one place where the units that users write become milliseconds and bytes. */
function fromUnit({ unit }: Declaration<unknown>, value: unknown): unknown {
  return unit === undefined || value === null ? value : Number(value) * UNITS[unit];
}

function defaultOf(declaration: Declaration<unknown>, before: Settings): unknown {
  return declaration.dependentDefault?.of(before) ?? structuredClone(declaration.default);
}

/** Plain lookup would find "constructor" in any object. */
function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

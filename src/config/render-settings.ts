import { IGNORED_FLAGS, SYNONYMS } from "./python-flags.ts";
import {
  DECLARATIONS,
  type Declaration,
  environmentName,
  SETTING_NAMES,
  type SettingName,
  UNITS,
} from "./setting-table.ts";
import type { ParsedSettings, Settings } from "./settings.ts";

const HELP_COLUMNS = 100;

/** The flags of the server as --help shows them, one paragraph a setting. */
export function settingsHelp(): string {
  const paragraphs = rows().map(({ flag, placeholder, variable, sentence, default: shown }) => {
    const head = `  ${flag}${placeholder === null ? "" : ` ${placeholder}`}`;
    return `${head}\n${wrap(`${sentence} Default: ${shown || "none"}. [${variable}]`, 6)}`;
  });
  paragraphs.push(
    `  --config PATH\n${wrap("Read settings from this file, in TOML, under the names of their flags. [STOCK_DB_CONFIG]", 6)}`,
    `  --print-config\n${wrap("Print every setting with its value and where it came from, as JSON, and stop.", 6)}`,
    "  --version\n      Print the version and stop.",
    "  -h, --help\n      Print this help and stop.",
  );
  const synonyms = Object.entries(SYNONYMS).map(([flag, to]) => `--${flag} (${to.means} ${to.value})`);
  return [
    ...paragraphs,
    wrap(
      "A flag beats its environment variable, in brackets, that beats the file of --config, and that the default. An empty variable counts as not set. A variable with _FILE behind its name names a file that holds the value.",
      0,
    ),
    wrap(
      `Also accepted: ${synonyms.join(", ")}; without effect: ${Object.keys(IGNORED_FLAGS)
        .map((flag) => `--${flag}`)
        .join(", ")}.`,
      0,
    ),
  ].join("\n\n");
}

/** Every setting with its value, secrets hidden, and where it came from: JSON, a setting a line. */
export function printConfig({ settings, sources }: Pick<ParsedSettings, "settings" | "sources">): string {
  const lines = SETTING_NAMES.map((name) => {
    const key = JSON.stringify(DECLARATIONS[name].flag.slice(2));
    const value = JSON.stringify(shownValue(name, settings));
    return `  ${key}: {"value": ${value}, "from": ${JSON.stringify(sources[name])}}`;
  });
  return `{\n${lines.join(",\n")}\n}`;
}

/** In the unit of users, with secrets hidden; null: there is none. */
export function shownValue(name: SettingName, settings: Settings): unknown {
  const { unit, redact } = DECLARATIONS[name] as Declaration<unknown>;
  const set = settings[name];
  return set === null ? null : (redact?.(set) ?? (unit ? Number(set) / UNITS[unit] : set));
}

/** The settings as a Markdown table, for the README. */
export function settingsTable(): string {
  const lines = rows().map((row) => {
    const flag = row.placeholder === null ? row.flag : `${row.flag} ${row.placeholder}`;
    const cells = [
      `\`${flag}\``,
      `\`${row.variable}\``,
      row.default && `\`${row.default}\``,
      row.accepted,
      row.sentence,
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| Flag | Environment | Default | Accepted | |", "|---|---|---|---|---|", ...lines].join("\n");
}

interface Row {
  flag: string;
  placeholder: string | null;
  variable: string;
  /** Empty when there is none. */
  default: string;
  accepted: string;
  sentence: string;
}

function rows(): Row[] {
  return SETTING_NAMES.map((name) => {
    const declaration = DECLARATIONS[name] as Declaration<unknown>;
    const { flag, type, unit, sentence } = declaration;
    const bare = shownDefault(declaration);
    return {
      flag,
      placeholder: type.placeholder,
      variable: environmentName(name),
      default: unit === undefined || bare === "" ? bare : `${bare} ${unit}`,
      accepted: type.expected,
      sentence,
    };
  });
}

function shownDefault({ default: value, dependentDefault }: Declaration<unknown>): string {
  if (dependentDefault !== undefined) return dependentDefault.text;
  return Array.isArray(value) ? value.join(",") : String(value ?? "");
}

function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > HELP_COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => " ".repeat(indent) + each).join("\n");
}

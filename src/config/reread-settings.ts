/** What a server that runs takes over of settings that were read again. */
import { shownValue } from "./render-settings.ts";
import {
  DECLARATIONS,
  type Declaration,
  SETTING_NAMES,
  type SettingName,
  type TakeOver,
} from "./setting-table.ts";
import type { ParsedSettings, Settings } from "./settings.ts";

export interface RereadSettings {
  settings: Settings;
  /** `--slow-request 0 → 0.5`, for the log. */
  taken: string[];
  /** Flags of others that differ from those of the start. */
  left: string[];
}

/**
 * @param current those in force. @param start as they were read at the start.
 * @param ways how this server can take settings over.
 */
export function takeOver(
  { settings: read, sources }: Pick<ParsedSettings, "settings" | "sources">,
  { current, start, ways }: { current: Settings; start: Settings; ways: readonly TakeOver[] },
): RereadSettings {
  const settings: Record<string, unknown> = { ...current };
  const taken: string[] = [];
  const left: string[] = [];
  for (const name of SETTING_NAMES) {
    const { flag, takeOver: way, dependentDefault } = DECLARATIONS[name] as Declaration<unknown>;
    // It depends on settings that stay: those read again mean nothing for it.
    const isDependent = dependentDefault !== undefined && sources[name] === "default";
    const wanted = isDependent ? dependentDefault.of(current) : read[name];
    if (way === undefined || !ways.includes(way) || turnsTls(name, current, wanted)) {
      if (!isDependent && !isSame(read[name], start[name])) left.push(flag);
    } else if (!isSame(wanted, current[name])) {
      settings[name] = wanted;
      const to = { ...read, [name]: wanted } as Settings;
      taken.push(`${flag} ${shown(name, current)} → ${shown(name, to)}`);
    }
  }
  return { settings: settings as unknown as Settings, taken, left };
}

/** Old and new workers share a port: both speak TLS, or none does. */
function turnsTls(name: SettingName, current: Settings, wanted: unknown): boolean {
  return (name === "tlsCert" || name === "tlsKey") && (current[name] === null) !== (wanted === null);
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function shown(name: SettingName, settings: Settings): string {
  const value = shownValue(name, settings);
  if (value === null || (Array.isArray(value) && value.length === 0)) return "none";
  return String(value);
}

/** The output of a check: a line for each part, with a mark that needs no colour. */

export interface CheckConsole {
  /** Shows the part that is running, on a terminal. */
  begin(part: string): void;
  ok(part: string, text: string): void;
  warning(part: string, text: string): void;
  failed(part: string, text: string): void;
  /** A line about the part above. */
  detail(text: string): void;
  say(text: string): void;
}

export interface ConsoleOutput {
  isTTY?: boolean;
  write(text: string): unknown;
}

const MARK_CELLS = 8;
const RED = 31;
const GREEN = 32;
const YELLOW = 33;

/** @param environment A non-empty NO_COLOR (no-color.org) turns colours off. */
export function openConsole(
  output: ConsoleOutput,
  environment: Record<string, string | undefined> = process.env,
): CheckConsole {
  const onTerminal = output.isTTY === true;
  const coloured = onTerminal && !environment.NO_COLOR;
  const clear = onTerminal ? "\r\x1b[2K" : "";

  const line = (mark: string, colour: number, part: string, text: string): void => {
    const padded = mark.padEnd(MARK_CELLS);
    const shown = coloured ? `\x1b[${colour}m${padded}\x1b[0m` : padded;
    output.write(`${clear}${shown}${part}: ${text}\n`);
  };
  return {
    begin: (part) => onTerminal && output.write(`${clear}${"…".padEnd(MARK_CELLS)}${part}`),
    ok: (part, text) => line("ok", GREEN, part, text),
    warning: (part, text) => line("warning", YELLOW, part, text),
    failed: (part, text) => line("FAILED", RED, part, text),
    detail: (text) => output.write(`${clear}${"".padEnd(MARK_CELLS)}  ${text}\n`),
    say: (text) => output.write(`${clear}${text}\n`),
  };
}

export const silentConsole: CheckConsole = {
  begin() {},
  ok() {},
  warning() {},
  failed() {},
  detail() {},
  say() {},
};

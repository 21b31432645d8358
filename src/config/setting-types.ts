import { isIP } from "node:net";
import { isNetwork } from "../access/key-record.ts";
import { readScopeRule, SCOPE_RULE_EXPECTED } from "../access/token-rules.ts";
import { parseCalendarRule } from "../calendar/calendar-rule.ts";
import { CalendarError } from "../calendar/contract.ts";
import { parseRollupLength } from "../calendar/rollup-length.ts";
import { marketClock } from "../market/market-day.ts";
import { parseRetentionRule } from "../market/retention-rule.ts";
import { suggest } from "./nearest.ts";

/** How the text of a flag or variable becomes the value of a setting. */
export interface ValueType<T> {
  /** Stands for the value in --help. A switch has none: the flag alone means true. */
  placeholder: string | null;
  /** What is accepted, to follow "expected". */
  expected: string;
  /** Undefined when the text is not what is expected. */
  read(text: string): T | undefined;
  /** What to add to the error for this text: " …, did you mean INFO?". */
  hint?(text: string): string;
  /** For settings that may be given several times; otherwise the last one counts. */
  merge?(before: T, now: T): T;
}

interface Bounds {
  min: number;
  max: number;
}

export function wholeNumber(bounds: Bounds): ValueType<number> {
  return {
    placeholder: "N",
    expected: `a whole number from ${bounds.min} to ${bounds.max}`,
    read: (text) => (/^[+-]?\d+$/.test(text) ? within(bounds, Number(text)) : undefined),
  };
}

/** 0 stands for a value that the server finds out. */
export function zeroOr(bounds: Bounds): ValueType<number> {
  const { read } = wholeNumber(bounds);
  return {
    placeholder: "N",
    expected: `0 or a whole number from ${bounds.min} to ${bounds.max}`,
    read: (text) => (/^[+-]?0+$/.test(text) ? 0 : read(text)),
  };
}

export function seconds(bounds: Bounds): ValueType<number> {
  return {
    placeholder: "SECONDS",
    expected: `seconds from ${bounds.min} to ${bounds.max}`,
    read: (text) =>
      /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? within(bounds, Number(text)) : undefined,
  };
}

/** 0 stands for never. */
export function zeroOrSeconds(bounds: Bounds): ValueType<number> {
  const { placeholder, read } = seconds({ min: 0, max: bounds.max });
  return {
    placeholder,
    expected: `0 or seconds from ${bounds.min} to ${bounds.max}`,
    read(text) {
      const value = read(text);
      return value === undefined || value === 0 ? value : within(bounds, value);
    },
  };
}

/** Exactly one of the words, in this case of letters. */
export function oneOf<const T extends string>(choices: readonly T[]): ValueType<T> {
  return {
    placeholder: choices.join("|"),
    expected: `one of ${choices.join(", ")}`,
    read: (text) => choices.find((choice) => choice === text),
    hint: (text) => suggest(text, choices),
  };
}

export function onOrOff(): ValueType<boolean> {
  return {
    placeholder: null,
    expected: "true or false",
    read: (text) => SWITCH_WORDS[text.toLowerCase()],
  };
}

const SWITCH_WORDS: Record<string, boolean> = {
  true: true,
  "1": true,
  yes: true,
  on: true,
  false: false,
  "0": false,
  no: false,
  off: false,
};

export function timeZone(): ValueType<string> {
  return {
    placeholder: "ZONE",
    expected: "an IANA time zone such as America/New_York, Europe/London or UTC",
    read: (text) => (marketClock(text) === null ? undefined : text),
  };
}

/** Octal, as `chmod` takes it; four digits in the end. */
export function fileMode(): ValueType<string> {
  return {
    placeholder: "MODE",
    expected:
      "an octal mode of a file, such as 0600 or 0640, that its owner may read and write and nobody execute",
    read: (text) => (/^0?6[0246][0246]$/.test(text) ? text.padStart(4, "0") : undefined),
  };
}

export function filePath(): ValueType<string> {
  return {
    placeholder: "PATH",
    expected: "a path",
    read: (text) => (text !== "" && !text.includes("\0") ? text : undefined),
  };
}

/** Any text that isn't empty. @param placeholder of what it is. */
export function text(placeholder: string, expected: string): ValueType<string> {
  return { placeholder, expected, read: (given) => (given.trim() === "" ? undefined : given.trim()) };
}

/** Fetched without a secret, so that only the way to it makes it trustworthy. */
export function safeUrl(): ValueType<string> {
  return {
    placeholder: "URL",
    expected: "a URL with https, or with http on a loopback address",
    read(given) {
      const url = URL.parse(given);
      const isLocal = url !== null && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
      return url?.protocol === "https:" || (url?.protocol === "http:" && isLocal) ? url.href : undefined;
    },
  };
}

/** Where traces go. Without a secret, as `ps` and the log show it; in the end with its path. */
export function otlpUrl(): ValueType<string> {
  return {
    placeholder: "URL",
    expected: "http(s)://HOST[:PORT][/PATH], without a password and without ?",
    read(given) {
      const url = URL.parse(given);
      if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
      if (url.username !== "" || url.password !== "" || /[?#]/.test(given)) return undefined;
      const path = url.pathname.replace(/\/+$/, "");
      url.pathname = path.endsWith(TRACES_PATH) ? path : path + TRACES_PATH;
      return url.href;
    },
  };
}

/** Of OTLP over HTTP. */
const TRACES_PATH = "/v1/traces";

export function ratio(): ValueType<number> {
  const { read } = seconds({ min: 0, max: 1 });
  return { placeholder: "RATIO", expected: "a number from 0 to 1", read };
}

/** What claims of tokens allow; can be given several times. */
export function scopeRules(): ValueType<string[]> {
  return {
    placeholder: "VALUE=SCOPE[,…]",
    expected: `${SCOPE_RULE_EXPECTED}, separated by commas`,
    read: (given) => {
      const rules = given.split(",").map((rule) => rule.trim());
      return rules.every((rule) => readScopeRule(rule) !== null) ? rules : undefined;
    },
    merge: (before, now) => [...before, ...now],
  };
}

export function listenAddress(): ValueType<string> {
  return {
    placeholder: "ADDRESS",
    expected: "an IP address or a host name, without a port",
    read: (text) => (isHost(text) ? text : undefined),
  };
}

/** In lower case, without repetitions; can be given several times. */
export function hostNames(): ValueType<string[]> {
  return {
    placeholder: "NAME[,NAME]",
    expected: "host names without a port, separated by commas",
    read: (text) => {
      const names = text.split(",").map((name) => name.trim().toLowerCase());
      return names.every(isHost) ? [...new Set(names)] : undefined;
    },
    merge: (before, now) => [...new Set([...before, ...now])],
  };
}

/** Stands for whoever comes by the Unix socket. */
export const UNIX_PEER = "unix";

/** Addresses, networks with the number of their bits, and `unix`; can be given several times. */
export function proxies(): ValueType<string[]> {
  return {
    placeholder: "ADDRESS[,ADDRESS]",
    expected: "addresses and networks such as 10.0.0.1 or fd00::/8, or unix, separated by commas",
    read: (text) => {
      const all = text.split(",").map((network) => network.trim());
      return all.every((each) => each === UNIX_PEER || isNetwork(each)) ? [...new Set(all)] : undefined;
    },
    merge: (before, now) => [...new Set([...before, ...now])],
  };
}

/** Scheme, host and port as browsers send them, or `*`; can be given several times. */
export function origins(): ValueType<string[]> {
  return {
    placeholder: "ORIGIN[,ORIGIN]",
    expected: "origins such as https://desk.example or http://localhost:5173, separated by commas, or *",
    read: (text) => {
      const all = text.split(",").map((origin) => originOf(origin.trim()));
      return all.includes(null) ? undefined : [...new Set(all as string[])];
    },
    merge: (before, now) => [...new Set([...before, ...now])],
  };
}

function originOf(text: string): string | null {
  if (text === "*") return text;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return null;
  return url.href === `${url.origin}/` ? url.origin : null;
}

/** Canonical names, the shortest first; can be given several times. */
export function rollupLengths(): ValueType<string[]> {
  const inOrder = (texts: readonly string[]): string[] => {
    const lengths = texts.map((text) => parseRollupLength(text, "--rollup"));
    return [...new Set(lengths.sort((a, b) => a.seconds - b.seconds).map(({ name }) => name))];
  };
  return {
    placeholder: "LENGTH[,LENGTH]",
    expected: "seconds, minutes or hours that divide a day, such as 1min,5min,1hour",
    read(text) {
      try {
        return inOrder(text.split(","));
      } catch (error) {
        if (error instanceof CalendarError) return undefined;
        throw error;
      }
    },
    merge: (before, now) => inOrder([...before, ...now]),
  };
}

/** As they are written, the first that is for a ticker counts; can be given several times. */
export function calendarRules(): ValueType<string[]> {
  return {
    placeholder: "[TICKERS=]CALENDAR[:SESSION]",
    expected:
      "calendars such as XNYS or XNYS:extended, with the tickers before them as in BTC*=24/7, separated by commas",
    read: (text) => {
      const all = text.split(",").map((rule) => rule.trim());
      return all.every((rule) => parseCalendarRule(rule) !== null) ? all : undefined;
    },
    merge: (before, now) => [...before, ...now],
  };
}

/** How long rows are kept; can be given several times. */
export function retentionRules(): ValueType<string[]> {
  return {
    placeholder: "[TICKERS:]KIND=SPAN",
    expected:
      "kinds of rows with whole days such as trades=30d, OPT_*:quotes=2w or 1min=2y, separated by commas",
    read: (text) => {
      const all = text.split(",").map((rule) => rule.trim());
      return all.every((rule) => parseRetentionRule(rule) !== null) ? all : undefined;
    },
    merge: (before, now) => [...before, ...now],
  };
}

/** `postgres`, or a URL of a message broker. */
export function busUrl(): ValueType<string> {
  return {
    placeholder: "URL",
    expected: "nats://HOST[:PORT], redis://HOST[:PORT] or postgres",
    read: (text) => (text === "postgres" || BUS_URL.test(text) ? text : undefined),
  };
}

/** URLs of PostgreSQL, a host each; can be given several times. */
export function replicaUrls(): ValueType<string[]> {
  return {
    placeholder: "URL[,URL]",
    expected: "URLs such as postgresql://user:password@host:5432/database, separated by commas",
    read(given) {
      // A password may have commas of its own.
      const urls = given.split(BEFORE_URL).map((url) => url.trim());
      return urls.every((url) => POSTGRES_URL.test(url)) ? [...new Set(urls)] : undefined;
    },
    merge: (before, now) => [...new Set([...before, ...now])],
  };
}

const POSTGRES_URL = /^(postgres|postgresql|timescaledb):\/\//i;
const BEFORE_URL = /,(?=\s*[a-z]+:\/\/)/i;

const BUS_URL = /^(nats|tls|redis|rediss):\/\/[^\s/]+/i;

const HOST_NAME = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i;

function isHost(text: string): boolean {
  // Something like 1.2.3.400 would only fail later, at the name server.
  return isIP(text) !== 0 || (text.length <= 253 && HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}

function within({ min, max }: Bounds, value: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}

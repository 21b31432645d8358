/** The flags of the soak. */
import { parseArgs } from "node:util";
import { ENGINES, type EngineName, readCount, readWord } from "../test/support/flags.ts";
import { CLIENT_LANGUAGES, type ClientLanguage } from "./client-programs.ts";

const BUSES = ["none", "nats", "redis", "postgres"] as const;
type BusName = (typeof BUSES)[number];

export interface SoakArguments {
  seconds: number;
  engines: EngineName[];
  servers: number;
  bus: BusName;
  workers: number;
  writers: number;
  subscribers: number;
  kills: boolean;
  seed: number;
  /** Null: the server's own writers and subscribers. */
  languages: ClientLanguage[];
}

export const SOAK_HELP = `npm run soak -- [flags]
  --seconds S        time under load (default 60)
  --engine E         sqlite (default), duckdb, postgres, or all
  --servers N        servers on one database, which is PostgreSQL then (default 1)
  --bus B            between them: none (default), nats, redis or postgres
  --workers N        of each server, at least 2 (default 2)
  --writers N        (default 6)
  --subscribers N    (default 36)
  --no-kills         nothing is killed
  --clients          instead of these a feed and bots of a client, of a few lines each, and kills of the
                     whole server, for each language. --subscribers are bots then (default 3)
  --language L       only ${CLIENT_LANGUAGES.join(" or ")}
  --seed N           of everything that happens at random (default: another each time)`;

/** @throws Error With a sentence for the user. */
export function readSoakArguments(argv: string[]): SoakArguments | "help" {
  const { values } = parseArgs({
    args: argv,
    options: {
      seconds: { type: "string", default: "60" },
      engine: { type: "string" },
      servers: { type: "string", default: "1" },
      bus: { type: "string", default: "none" },
      workers: { type: "string", default: "2" },
      writers: { type: "string", default: "6" },
      subscribers: { type: "string" },
      clients: { type: "boolean", default: false },
      language: { type: "string" },
      "no-kills": { type: "boolean", default: false },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const servers = readCount("--servers", values.servers, { min: 1, max: 8 });
  const bus = readWord("--bus", values.bus, BUSES);
  const engine = values.engine ?? (servers > 1 ? "postgres" : "sqlite");
  if (values.language !== undefined && !values.clients) throw new Error("--language: expected --clients too");
  const languages =
    values.language === undefined
      ? [...CLIENT_LANGUAGES]
      : [readWord("--language", values.language, CLIENT_LANGUAGES)];
  const engines = engine === "all" ? [...ENGINES] : [readWord("--engine", engine, ENGINES)];
  if ((servers > 1 || bus !== "none") && engines.some((name) => name !== "postgres"))
    throw new Error("--servers and --bus: only servers on PostgreSQL share a database");
  if (values.clients && (values.engine ?? "sqlite") !== "sqlite")
    throw new Error(`--clients: got --engine ${values.engine}, expected none: their server has SQLite`);
  return {
    seconds: readCount("--seconds", values.seconds, { min: 1, max: 1_000_000 }),
    engines,
    servers,
    bus,
    workers: readCount("--workers", values.workers, { min: 2, max: 64 }),
    writers: readCount("--writers", values.writers, { min: 1, max: 1_000 }),
    subscribers: readCount("--subscribers", values.subscribers ?? (values.clients ? "3" : "36"), {
      min: 1,
      max: 5_000,
    }),
    languages: values.clients ? languages : [],
    kills: !values["no-kills"],
    seed: readCount("--seed", values.seed, { min: 0, max: 2 ** 32 }),
  };
}

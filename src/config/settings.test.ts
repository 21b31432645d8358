import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultMemoryMb } from "./memory-shares.ts";
import { printConfig, settingsHelp, settingsTable } from "./render-settings.ts";
import { DECLARATIONS, environmentName, SETTING_NAMES, UNITS } from "./setting-table.ts";
import { parseSettings } from "./settings.ts";
import { UsageError } from "./usage-error.ts";

/** The message of the UsageError that these arguments end in. */
function refusal(argv: string[], env: Record<string, string> = {}): string {
  try {
    parseSettings(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error(`expected a UsageError for ${argv.join(" ")}`);
}

describe("defaults", () => {
  test("are those of the older server, and safe where it had none", () => {
    expect(parseSettings([], {}).settings).toEqual({
      dbFile: "data/stock_data.db",
      host: "127.0.0.1",
      port: 8080,
      allowHosts: [],
      allowOrigins: [],
      trustProxies: [],
      keys: "data/stock_data.db.keys",
      jwtSecretFile: null,
      jwtKeyFile: null,
      jwtJwksUrl: null,
      jwtIssuer: null,
      jwtAudience: null,
      jwtScopeClaim: "scope",
      jwtScopes: [],
      jwtTickersClaim: null,
      insecureNoAuth: false,
      tlsCert: null,
      tlsKey: null,
      tlsClientCa: null,
      redirectPort: null,
      unixSocket: null,
      unixSocketMode: "0660",
      workers: 1,
      workerRestartTimeoutMs: 30_000,
      livenessTimeoutMs: 10_000,
      heartbeatIntervalMs: 1_000,
      maxBodyBytes: 10 * UNITS.MB,
      rollup: [],
      retain: [],
      updateLogBytes: 1024 * UNITS.MB,
      marketTimezone: "America/New_York",
      wsSymbolsMax: 1000,
      wsSubscriptionsMax: 1_000_000,
      wsSubscriptionsPerAddress: 500_000,
      wsTickersMax: 200_000,
      wsConnectionsPerAddress: 5000,
      wsQueueBytes: 1024 * UNITS.KB,
      staleAfterMs: 0,
      feedCalendars: [],
      bus: null,
      testFeed: false,
      readReplicas: [],
      replicaMaxLagMs: 1_000,
      dbPoolSize: 10,
      sql: "raw",
      sqlGet: true,
      readOnly: false,
      readTimeoutMs: 300_000,
      sqlTimeoutMs: 30_000,
      sqlMaxRows: 1_000_000,
      memoryBytes: defaultMemoryMb() * UNITS.MB,
      spoolBytes: 1024 * UNITS.MB,
      durability: "full",
      duckdbMemoryBytes: 1024 * UNITS.MB,
      duckdbThreads: 2,
      sample: false,
      minFreeBytes: null,
      fileMode: "0600",
      logFile: null,
      archive: null,
      auditLog: null,
      logLevel: "INFO",
      logFormat: "text",
      slowRequestMs: 0,
      accessLog: "errors",
      otlpEndpoint: null,
      otlpHeadersFile: null,
      otlpSample: 1,
    });
  });

  test("are accepted by their own setting", () => {
    for (const name of SETTING_NAMES) {
      const { flag, default: value } = DECLARATIONS[name];
      if (value === null || Array.isArray(value)) continue;
      expect(parseSettings([`${flag}=${value}`], {}).settings[name]).toEqual(
        parseSettings([], {}).settings[name],
      );
    }
  });

  test("are not shared between two calls", () => {
    parseSettings([], {}).settings.allowHosts.push("changed.example");
    expect(parseSettings([], {}).settings.allowHosts).toEqual([]);
  });
});

describe("where a value comes from", () => {
  test("flag beats environment beats default", () => {
    const { settings, sources } = parseSettings(["--port", "9000"], {
      STOCK_DB_PORT: "9001",
      STOCK_DB_HOST: "0.0.0.0",
    });
    expect([settings.port, settings.host, settings.workers]).toEqual([9000, "0.0.0.0", 1]);
    expect([sources.port, sources.host, sources.workers]).toEqual(["--port", "STOCK_DB_HOST", "default"]);
  });

  test("each setting can be given by flag in both spellings and by its variable", () => {
    const other: Record<string, string> = {
      dbFile: "/tmp/other.sqlite",
      host: "::1",
      keys: "/etc/desk.keys",
      insecureNoAuth: "true",
      tlsCert: "/etc/desk.crt",
      tlsKey: "/etc/desk.key",
      tlsClientCa: "/etc/ca.crt",
      allowHosts: "a.example,b.example",
      trustProxies: "10.0.0.1,fd00::/8",
      allowOrigins: "https://desk.example,http://localhost:5173",
      jwtJwksUrl: "https://issuer.example/keys",
      jwtScopes: "desk=read+stream",
      rollup: "1min,5min",
      retain: "trades=30d,1min=2y",
      durability: "normal",
      marketTimezone: "Asia/Tokyo",
      duckdbMemoryBytes: "512",
      memoryBytes: "512",
      wsQueueBytes: "512",
      bus: "nats://broker:4222",
      readReplicas: "postgresql://desk:a,b@db2/stocks,postgresql://desk@db3/stocks",
      testFeed: "true",
      sql: "off",
      sqlGet: "false",
      readOnly: "true",
      sample: "true",
      unixSocketMode: "0600",
      fileMode: "0640",
      logFile: "logs/server.log",
      auditLog: "logs/audit.log",
      logLevel: "CRITICAL",
      logFormat: "json",
      accessLog: "on",
      otlpEndpoint: "https://collector.example",
      otlpSample: "0.5",
    };
    for (const name of SETTING_NAMES) {
      const { flag, type } = DECLARATIONS[name];
      const text = other[name] ?? "7";
      const joined = parseSettings([`${flag}=${text}`], {}).settings[name];
      expect(joined).not.toEqual(parseSettings([], {}).settings[name]);
      expect(parseSettings([], { [environmentName(name)]: text }).settings[name]).toEqual(joined);
      const apart = type.placeholder === null && text === "true" ? [flag] : [flag, text];
      expect(parseSettings(apart, {}).settings[name]).toEqual(joined);
    }
  });

  test("the last of two equal flags counts; allowed hosts add up and beat the environment's", () => {
    expect(parseSettings(["--port", "1", "--port=2"], {}).settings.port).toBe(2);
    const argv = ["--allow-host", "A.example,b.example", "--allow-host", "b.example"];
    expect(parseSettings(argv, { STOCK_DB_ALLOW_HOST: "c.example" }).settings.allowHosts).toEqual([
      "a.example",
      "b.example",
    ]);
  });

  test("--otlp-endpoint ends with the path of traces", () => {
    for (const [given, read] of [
      ["https://collector.example", "https://collector.example/v1/traces"],
      ["http://localhost:4318/", "http://localhost:4318/v1/traces"],
      ["https://collector.example/otlp//", "https://collector.example/otlp/v1/traces"],
      ["https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"],
      ["https://collector.example/v1/traces/", "https://collector.example/v1/traces"],
    ] as const)
      expect(parseSettings(["--otlp-endpoint", given], {}).settings.otlpEndpoint).toBe(read);
    for (const wrong of [
      "collector:4318",
      "grpc://c",
      "https://a:b@c",
      "https://a@c",
      "https://c/?key=1",
      "https://c/#a",
    ])
      expect(refusal(["--otlp-endpoint", wrong])).toContain("--otlp-endpoint: expected http(s)://HOST");
  });

  test("an empty variable counts as not set", () => {
    const { settings, sources } = parseSettings([], { STOCK_DB_LOG_FILE: "", STOCK_DB_PORT: "" });
    expect([settings.logFile, settings.port, sources.port]).toEqual([null, 8080, "default"]);
  });

  test("--sql is raw where only this machine can reach the server, else select", () => {
    const sql = (...argv: string[]): string => parseSettings(argv, {}).settings.sql;
    for (const host of [
      "127.0.0.1",
      "127.8.9.1",
      "localhost",
      "LOCALHOST",
      "::1",
      "0:0:0:0:0:0:0:1",
      "::ffff:127.0.0.1",
    ])
      expect([host, sql("--host", host)]).toEqual([host, "raw"]);
    for (const host of [
      "0.0.0.0",
      "::",
      "10.0.0.5",
      "192.168.127.0",
      "desk.example",
      "127.example",
      "::2",
      "::ffff:10.0.0.1",
    ])
      expect([host, sql("--host", host)]).toEqual([host, "select"]);
    expect(sql("--sql", "raw", "--host", "0.0.0.0")).toBe("raw");
    expect(sql("--sql", "off")).toBe("off");
    const shown = JSON.parse(printConfig(parseSettings(["--host", "::"], {}))) as Record<string, unknown>;
    expect(shown.sql).toEqual({ value: "select", from: "default" });
  });

  test("a switch may be followed by its word", () => {
    const { settings } = parseSettings(["--sql-get", "off", "--read-only", "ON", "--sample"], {});
    expect(settings).toMatchObject({ sqlGet: false, readOnly: true, sample: true });
    expect(parseSettings(["--read-only", "--sql", "off"], {}).settings).toMatchObject({
      readOnly: true,
      sql: "off",
    });
  });

  test("a switch of the environment can be turned off by flag", () => {
    expect(parseSettings(["--sample=false"], { STOCK_DB_SAMPLE: "1" }).settings.sample).toBe(false);
  });

  test("workers 0 takes the usable CPUs", () => {
    expect(parseSettings(["--workers", "0"], {}).settings.workers).toBeGreaterThanOrEqual(1);
  });
});

describe("a wrong value", () => {
  const cases: [string, string][] = [
    ["--port=65536", '--port: expected a whole number from 0 to 65535, got "65536"'],
    ["--port=-1", '--port: expected a whole number from 0 to 65535, got "-1"'],
    ["--port=80.5", '--port: expected a whole number from 0 to 65535, got "80.5"'],
    ["--port=", '--port: expected a whole number from 0 to 65535, got ""'],
    ["--port=0x50", '--port: expected a whole number from 0 to 65535, got "0x50"'],
    ["--workers=-1", '--workers: expected a whole number from 0 to 128, got "-1"'],
    ["--heartbeat-interval=0", '--heartbeat-interval: expected seconds from 0.05 to 3600, got "0"'],
    ["--heartbeat-interval=NaN", '--heartbeat-interval: expected seconds from 0.05 to 3600, got "NaN"'],
    ["--sql-timeout=1e999", '--sql-timeout: expected seconds from 0.1 to 3600, got "1e999"'],
    ["--max-body-mb=0", '--max-body-mb: expected a whole number from 1 to 1024, got "0"'],
    [
      "--log-level=info",
      '--log-level: expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got "info", did you mean INFO?',
    ],
    ["--access-log=all", '--access-log: expected one of on, errors, off, got "all"'],
    ["--durability=none", '--durability: expected one of full, normal, got "none"'],
    ["--sample=maybe", '--sample: expected true or false, got "maybe"'],
    ["--log-file=", '--log-file: expected a path, got ""'],
    ["--host=1.2.3.400", '--host: expected an IP address or a host name, without a port, got "1.2.3.400"'],
    [
      "--host=localhost:80",
      '--host: expected an IP address or a host name, without a port, got "localhost:80"',
    ],
    [
      "--allow-host=a,,b",
      '--allow-host: expected host names without a port, separated by commas, got "a,,b"',
    ],
    ["--port=1\n2", '--port: expected a whole number from 0 to 65535, got "1\\n2"'],
  ];
  test.each(cases)("%j is refused on one line", (argument, message) => {
    const line = refusal([argument]);
    expect(line).toStartWith(message);
    expect(line).not.toContain("\n");
  });

  test("of a variable names the variable", () => {
    expect(refusal([], { STOCK_DB_PORT: "eighty" })).toBe(
      'STOCK_DB_PORT: expected a whole number from 0 to 65535, got "eighty"',
    );
  });

  test("that is missing is said so, also when another flag follows", () => {
    expect(refusal(["--port"])).toBe("--port: expected a whole number from 0 to 65535, got no value");
    expect(refusal(["--log-file", "--sample"])).toBe("--log-file: expected a path, got no value");
  });

  test("that is very long is cut", () => {
    expect(refusal([`--port=${"9".repeat(100_000)}`]).length).toBeLessThan(300);
  });

  test("of the database hides the password", () => {
    expect(refusal(["postgresql://desk:s3cret@db/stocks"])).not.toContain("s3cret");
  });
});

describe("an unknown name", () => {
  test("of a flag is refused with the nearest known one", () => {
    expect(refusal(["--prot", "80"])).toBe("--prot: no such flag, did you mean --port?");
    expect(refusal(["--worker=2"])).toBe("--worker: no such flag, did you mean --workers?");
    expect(refusal(["--quite-another-thing"])).toBe("--quite-another-thing: no such flag, see --help");
    expect(refusal(["-p"])).toBe("-p: no such flag, see --help");
    expect(refusal(["--constructor"])).toStartWith("--constructor: no such flag");
    expect(refusal(["8080"])).toBe('"8080": expected a flag, see --help');
  });

  test("of a variable is refused, except those that aren't settings", () => {
    expect(refusal([], { STOCK_DB_WORKER: "2" })).toBe(
      "STOCK_DB_WORKER: no such setting, did you mean STOCK_DB_WORKERS?",
    );
    const env = {
      STOCK_DB_CHILD: "{}",
      STOCK_DB_BUN: "/bin/bun",
      STOCK_DB_KEY: "k",
      PATH: "/bin",
      STOCK_DBX: "1",
    };
    expect(parseSettings([], env).wants).toBe("run");
  });
});

describe("a file of settings", () => {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  const path = join(folder, "stocks.toml");
  const secret = join(folder, "database");
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (text: string): void => writeFileSync(path, text);

  test("has them under the names of their flags; the environment and flags beat it", () => {
    write(
      'port = 9001\nworkers = 3\nread-only = true\nallow-host = ["a.example", "b.example"]\nsql-timeout = 1.5\n',
    );
    const argv = ["--config", path, "--workers", "5"];
    const { settings, sources } = parseSettings(argv, { STOCK_DB_PORT: "9002" });
    const { port, workers, readOnly, allowHosts, sqlTimeoutMs } = settings;
    expect([port, workers, readOnly, allowHosts, sqlTimeoutMs]).toEqual([
      9002,
      5,
      true,
      ["a.example", "b.example"],
      1_500,
    ]);
    expect([sources.port, sources.workers, sources.readOnly]).toEqual(["STOCK_DB_PORT", "--workers", path]);
    expect(parseSettings([], { STOCK_DB_CONFIG: path }).settings.port).toBe(9001);
  });

  test("is refused by what is wrong in it", () => {
    for (const [text, told] of [
      ["prot = 1", `${path}: "prot": no such setting, did you mean port?`],
      ["port = 99999", `${path}: port: expected a whole number from 0 to 65535, got "99999"`],
      ["port = [1]", `${path}: "port": expected a text, a number, true or false, or a list of texts`],
      ["[server]\nport = 1", `${path}: "server": expected a text`],
    ] as const) {
      write(text);
      expect(refusal(["--config", path])).toStartWith(told);
    }
    write("port = = 1");
    expect(refusal(["--config", path])).toStartWith(`--config ${path}: expected TOML`);
    expect(refusal([], { STOCK_DB_CONFIG: join(folder, "none") })).toStartWith("STOCK_DB_CONFIG: ENOENT");
  });

  test("a variable with _FILE names the file that has the value", () => {
    writeFileSync(secret, "postgresql://desk:s3cret@db/stocks\n");
    const { settings } = parseSettings([], { STOCK_DB_DB_FILE_FILE: secret });
    expect(settings.dbFile).toBe("postgresql://desk:s3cret@db/stocks");
    const both = { STOCK_DB_DB_FILE_FILE: secret, STOCK_DB_DB_FILE: "x.db" };
    expect(refusal([], both)).toContain("expected one of them");
    expect(refusal([], { STOCK_DB_PORT_FILE: join(folder, "none") })).toContain("STOCK_DB_PORT_FILE: ENOENT");
  });
});

describe("feeds", () => {
  test("a time that is too short to be told apart from a steady feed is refused", () => {
    const staleAfter = (text: string): number =>
      parseSettings(["--stale-after", text], {}).settings.staleAfterMs;
    expect([staleAfter("0"), staleAfter("2"), staleAfter("120.0")]).toEqual([0, 2_000, 120_000]);
    expect(refusal(["--stale-after", "1.9"])).toContain("expected 0 or seconds from 2 to 86400");
  });

  test("rules of calendars come in their order, from several flags", () => {
    const argv = ["--feed-calendar", "BTC*=24/7, ES=F=CME", "--feed-calendar", "XNYS:extended"];
    expect(parseSettings(argv, {}).settings.feedCalendars).toEqual([
      "BTC*=24/7",
      "ES=F=CME",
      "XNYS:extended",
    ]);
    expect(refusal(["--feed-calendar", "BTC*="])).toContain("expected calendars such as XNYS");
  });
});

describe("flags of the Python server", () => {
  test("without a counterpart are taken with their value and reported", () => {
    const argv = [
      "--stale-data-timeout",
      "120.0",
      "--cache-backends=disk",
      "--cache-dir",
      ".prediction_cache",
    ];
    argv.push("--startup-delay", "1.0", "--child-stagger-ms", "100", "--bind-retries", "5");
    argv.push(
      "--bind-retry-delay-ms",
      "200",
      "--questdb-connection-timeout",
      "180",
      "--no-cache",
      "--no-cache",
    );
    const { ignored, settings } = parseSettings([...argv, "--port", "81"], {});
    expect(ignored).toEqual([
      "--stale-data-timeout",
      "--cache-backends",
      "--cache-dir",
      "--startup-delay",
      "--child-stagger-ms",
      "--bind-retries",
      "--bind-retry-delay-ms",
      "--questdb-connection-timeout",
      "--no-cache",
    ]);
    expect(settings.port).toBe(81);
    expect(refusal(["--cache-dir"])).toBe("--cache-dir: expected a value, got no value");
  });

  test("--enable-access-log means --access-log on", () => {
    const { settings, ignored, sources } = parseSettings(["--enable-access-log"], {});
    expect([settings.accessLog, sources.accessLog, ignored.length]).toEqual(["on", "--access-log", 0]);
    expect(refusal(["--enable-access-log=no"])).toContain("takes no value");
  });
});

describe("what is asked for", () => {
  test("help and version win over wrong flags", () => {
    expect(parseSettings(["--port", "x", "--help"], {}).wants).toBe("help");
    expect(parseSettings(["-h"], { STOCK_DB_NONSENSE: "1" }).wants).toBe("help");
    expect(parseSettings(["--version"], {}).wants).toBe("version");
  });

  test("--print-config is JSON that says where each value came from", () => {
    const parsed = parseSettings(["--print-config", "--workers=2"], { STOCK_DB_LOG_LEVEL: "DEBUG" });
    expect(parsed.wants).toBe("print-config");
    const printed = JSON.parse(printConfig(parsed)) as Record<string, { value: unknown; from: string }>;
    expect(printed.workers).toEqual({ value: 2, from: "--workers" });
    expect(printed["log-level"]).toEqual({ value: "DEBUG", from: "STOCK_DB_LOG_LEVEL" });
    expect(printed["allow-host"]).toEqual({ value: [], from: "default" });
    expect(Object.keys(printed)).toHaveLength(SETTING_NAMES.length);
  });

  test("--print-config shows times and sizes in the unit that users write", () => {
    const given = ["--heartbeat-interval=0.07", "--sql-timeout=1.1", "--ws-queue-kb=77", "--spool-mb=3"];
    const parsed = parseSettings(["--print-config", ...given], {});
    expect(parsed.settings).toMatchObject({ wsQueueBytes: 77 * 1024, spoolBytes: 3 * 1024 * 1024 });
    expect(parsed.settings.sqlTimeoutMs).toBeCloseTo(1_100);
    const printed = JSON.parse(printConfig(parsed)) as Record<string, { value: unknown }>;
    for (const [flag, value] of given.map((text) => text.slice(2).split("=") as [string, string]))
      expect([flag, printed[flag]?.value]).toEqual([flag, Number(value)]);
    expect(printed["max-body-mb"]?.value).toBe(10);
    expect(printed["min-free-mb"]?.value).toBeNull();
  });

  test("--print-config hides passwords", () => {
    const parsed = parseSettings([], {});
    parsed.settings.dbFile = "postgresql://desk:s3cret@db/stocks";
    expect(printConfig(parsed)).not.toContain("s3cret");
  });

  test("help and the README's table name every flag, variable and default", () => {
    for (const name of SETTING_NAMES) {
      const { flag, sentence } = DECLARATIONS[name];
      for (const text of [settingsHelp(), settingsTable()]) {
        expect(text).toContain(flag);
        expect(text).toContain(environmentName(name));
      }
      expect(settingsTable()).toContain(sentence);
    }
    for (const line of settingsHelp().split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect(settingsTable().split("\n")).toHaveLength(SETTING_NAMES.length + 2);
  });
});

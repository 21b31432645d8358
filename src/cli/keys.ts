/** `stock-db-server keys`: makes and ends the keys of clients. */
import { changeKeyFile, readKeyFile } from "../access/key-file.ts";
import { hashOf, KeyError, type KeyRecord, newKey } from "../access/key-record.ts";
import { readOptions } from "./flags.ts";
import { KEYS_HELP, type KeysAction, parseKeysOptions } from "./keys/options.ts";

/** What was done: a text for people, and members for programs. */
interface Done {
  text: string;
  json: object;
}

/** @returns The exit code: 0 done, 1 not done, 2 wrong usage. */
export async function runKeys(argv: string[]): Promise<number> {
  const options = readOptions(() => parseKeysOptions(argv, process.env), KEYS_HELP);
  if (typeof options === "number") return options;
  const { action, path, json } = options;
  try {
    const outcome = await act(action, path);
    console.log(json ? JSON.stringify({ ok: true, ...outcome.json }) : outcome.text);
    return 0;
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    console.error(`keys: ${error.message}`);
    if (json) console.log(JSON.stringify({ ok: false, error: error.message }));
    return 1;
  }
}

async function act(action: KeysAction, path: string): Promise<Done> {
  if (action.do === "list") return listed(readKeyFile(path) ?? []);
  if (action.do === "add") {
    const { expiresInMs, ...of } = action;
    const made = recordOf({
      ...of,
      expires: expiresInMs === null ? null : fromNow(expiresInMs),
    });
    await changeKeyFile(path, (keys) => {
      if (keys.some((key) => key.name === of.name && !isOver(key)))
        throw new KeyError(`there is a key ${of.name} already; rotate or revoke it`);
      return [...keys.filter((key) => key.name !== of.name), made.record];
    });
    return told(made, path, "");
  }
  if (action.do === "rotate") {
    const { name, overlapMs } = action;
    let made: MadeKey | null = null;
    const ends = fromNow(overlapMs);
    await changeKeyFile(path, (keys) => {
      const old = keys.findLast((key) => key.name === name && !isOver(key));
      if (old === undefined) throw noKey(name, path);
      made = recordOf(old);
      const ending = { ...old, expires: old.expires === null || old.expires > ends ? ends : old.expires };
      return [...keys.filter((key) => key.name !== name), ending, made.record];
    });
    return told(made!, path, `The old one ends at ${ends}.\n`);
  }
  await changeKeyFile(path, (keys) => {
    const others = keys.filter(({ name }) => name !== action.name);
    if (others.length === keys.length) throw noKey(action.name, path);
    return others;
  });
  return { text: `The key ${action.name} is revoked.`, json: { revoked: action.name } };
}

interface MadeKey {
  key: string;
  record: KeyRecord;
}

function recordOf({
  name,
  may,
  tickers,
  rate,
  rows,
  bytes,
  sockets,
  from,
  expires,
}: Omit<KeyRecord, "hash" | "created">): MadeKey {
  const key = newKey();
  return {
    key,
    record: {
      ...{ name, hash: hashOf(key)!, may, tickers, rate, rows, bytes, sockets, expires, from },
      created: fromNow(0),
    },
  };
}

function told({ key, record }: MadeKey, path: string, more: string): Done {
  const { hash, created, ...shown } = record;
  const { name, may, tickers, rate, rows, bytes, sockets, expires } = shown;
  const of = tickers === null ? "" : ` of ${tickers.join(", ")}`;
  const until = expires === null ? "" : ` until ${expires}`;
  const limits = [
    ...(rate === null ? [] : [`${rate} requests`]),
    ...(rows === null ? [] : [`${rows} rows`]),
    ...(bytes === null ? [] : [`${bytes} sent and received`]),
    ...(sockets === null ? [] : [`${sockets} WebSockets and streams`]),
  ];
  const atMost = limits.length === 0 ? "" : `, at most ${limits.join(", ")}`;
  return {
    text: `${key}
The key ${name} may ${may.join(", ")}${of}${until}${atMost}.
${path} keeps its hash alone: what you don't copy now is lost. Clients
send it as Authorization: Bearer KEY, and the subcommands of stock-db-server by STOCK_DB_KEY.
${more}`.trimEnd(),
    json: { key, ...shown, keys: path },
  };
}

function listed(keys: readonly KeyRecord[]): Done {
  const rows = keys.map(({ name, may, tickers, rate, rows, bytes, sockets, expires, from, created }) => [
    name,
    may.join(","),
    tickers === null ? "all" : tickers.join(","),
    rate ?? "-",
    rows ?? "-",
    bytes ?? "-",
    sockets === null ? "-" : String(sockets),
    expires === null ? "never" : isOver({ expires }) ? `expired ${expires}` : expires,
    from === null ? "anywhere" : from.join(","),
    created,
  ]);
  const table = [
    ["NAME", "MAY", "TICKERS", "RATE", "ROWS", "BYTES", "SOCKETS", "EXPIRES", "FROM", "CREATED"],
    ...rows,
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  return { text: lines.join("\n"), json: { keys: keys.map(({ hash, ...shown }) => shown) } };
}

function isOver({ expires }: Pick<KeyRecord, "expires">): boolean {
  return expires !== null && Date.parse(expires) <= Date.now();
}

function noKey(name: string, path: string): KeyError {
  return new KeyError(`${path} has no valid key ${name}`);
}

function fromNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** Reads a `--db-file` of host:port or http(s)://…, which names another server. */

export interface UpstreamUrl {
  /** With the path, without credentials and without a slash at its end. */
  http: string;
  /** The same for WebSockets. */
  ws: string;
  /** Header `Authorization`, null without credentials in the URL. */
  authorization: string | null;
  /** Without brackets around an IPv6 address. */
  host: string;
  port: number;
}

/** A name, an IPv4 address, or an IPv6 address in brackets. */
export const HOST_AND_PORT = /^(?:\[[0-9a-f:.]+\]|[^:/?#@\s[\]]+):\d{1,5}$/i;

/** @returns Null when it isn't the address of a server. */
export function parseUpstream(dbFile: string): UpstreamUrl | null {
  const url = URL.parse(HOST_AND_PORT.test(dbFile) ? `http://${dbFile}` : dbFile);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") return null;
  if (url.search !== "" || url.hash !== "") return null;
  const address = url.host + url.pathname.replace(/\/+$/, "");
  return {
    http: `${url.protocol}//${address}`,
    ws: `${url.protocol === "https:" ? "wss:" : "ws:"}//${address}`,
    authorization: basicCredentials(url.username, url.password),
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port),
  };
}

function basicCredentials(username: string, password: string): string | null {
  if (username === "" && password === "") return null;
  const credentials = `${decoded(username)}:${decoded(password)}`;
  return `Basic ${Buffer.from(credentials).toString("base64")}`;
}

/** A "%" that escapes nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

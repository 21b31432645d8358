/** The key that a client sends, wherever it may stand. */

export interface Credentials {
  /** Empty for a token alone. */
  key: string;
  secret: string;
}

/** What a server answers a WebSocket that offers it, with a key in another subprotocol. */
const PUBLIC_PROTOCOL = "stock-db";
const KEY_PROTOCOL = "bearer.";

/** Of the headers of Alpaca's clients and of `Authorization`; null: there are none. */
export function credentialsOf(headers: Headers): Credentials | null {
  const key = headers.get("apca-api-key-id");
  if (key !== null) return { key, secret: headers.get("apca-api-secret-key") ?? "" };
  const [scheme, value] = headers.get("authorization")?.trim().split(/\s+/) ?? [];
  if (value === undefined) return null;
  if (scheme?.toLowerCase() === "bearer") return { key: "", secret: value };
  if (scheme?.toLowerCase() !== "basic") return null;
  const [name = "", ...secret] = Buffer.from(value, "base64").toString("utf8").split(":");
  return { key: name, secret: secret.join(":") };
}

/**
 * Of two parts one is our key: clients that want both get anything for the other. A browser's
 * WebSocket has no headers, so that its key is a subprotocol. @returns null: none was sent.
 */
export function keyOf(headers: Headers): string | null {
  const credentials = credentialsOf(headers);
  if (credentials !== null) return keyIn(credentials);
  const offered = protocolsOf(headers).find((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return offered?.slice(KEY_PROTOCOL.length) ?? null;
}

export function keyIn({ key, secret }: Credentials): string {
  return secret === "" ? key : secret;
}

/** The subprotocol that answers what was offered; null: none. The key is never one of them. */
export function answeredProtocol(headers: Headers): string | null {
  return protocolsOf(headers).includes(PUBLIC_PROTOCOL) ? PUBLIC_PROTOCOL : null;
}

function protocolsOf(headers: Headers): string[] {
  return (headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}

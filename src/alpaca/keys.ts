/**
 * Who may read: the one place that looks at a client's key. The server has no keys yet, so every
 * key is let in, as everybody is at its other doors.
 */

export interface Credentials {
  /** Empty for a token alone. */
  key: string;
  secret: string;
}

/** Whether the key is known. Null: none was sent, as by a browser. */
export function admits(_credentials: Credentials | null): boolean {
  return true;
}

/** As clients send them in headers; null: there are none. */
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

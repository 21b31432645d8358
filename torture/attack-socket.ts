/** WebSockets of an attacker, who needs only the newest of what comes. */
import { RawWebSocket } from "../test/support/raw-web-socket.ts";

const KEEP_MAX = 100;

/** @throws Error It was refused. */
export async function openAttackSocket(port: number, path: string): Promise<RawWebSocket> {
  return await RawWebSocket.open(port, path, { keepMax: KEEP_MAX });
}

/** @returns with any answer to the handshake; null when there was none. */
export async function askAttackSocket(port: number, path: string): Promise<RawWebSocket | null> {
  return await RawWebSocket.ask(port, path, { keepMax: KEEP_MAX }).catch(() => null);
}

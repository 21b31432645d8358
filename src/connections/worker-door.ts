/**
 * How workers ask each other for their connections: each listens on a Unix socket in the runtime
 * folder. It goes past the hub, as one asks who is connected also while the hub hangs.
 */
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "bun";
import { isAlive } from "../memory/memory-board.ts";
import type { ConnectionQuestion, EndedConnection, WorkerConnections } from "./connection.ts";
import type { OpenConnections } from "./open-connections.ts";

/** Regardless of --file-mode: only this server's processes connect. */
const SOCKET_MODE = 0o600;
/** A worker that answers nothing for so long is told as silent. */
const ANSWER_MS = 2_000;

const DOOR = /^worker-(\d+)\.sock$/;

const doorOf = (folder: string, pid: number): string => join(folder, `worker-${pid}.sock`);

/** @returns a function that closes it. */
export function openWorkerDoor(folder: string, connections: OpenConnections): () => void {
  const path = doorOf(folder, process.pid);
  removeLeft(folder);
  const server: Server<undefined> = Bun.serve({
    unix: path,
    development: false,
    async fetch(request) {
      if (request.method === "GET") return Response.json(await connections.list(questionIn(request.url)));
      const { id, reason } = (await request.json()) as { id: string; reason: string };
      return Response.json({ ended: connections.end(id, reason) });
    },
  });
  chmodSync(path, SOCKET_MODE);
  return () => void server.stop(true);
}

/** What killed workers have left, and a process that had this one's number. */
function removeLeft(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = DOOR.exec(name) ?? [];
    if (pid === undefined) continue;
    if (Number(pid) === process.pid || !isAlive(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

function questionIn(url: string): ConnectionQuestion {
  return JSON.parse(new URL(url).searchParams.get("question")!) as ConnectionQuestion;
}

/** Null: it doesn't answer. */
export function askForConnections(
  folder: string,
  pid: number,
  question: ConnectionQuestion,
): Promise<WorkerConnections | null> {
  const query = new URLSearchParams({ question: JSON.stringify(question) });
  return ask(doorOf(folder, pid), `?${query}`, { method: "GET" });
}

/** Null: it has none of that id. undefined: it doesn't answer. */
export async function askToEnd(
  folder: string,
  pid: number,
  asked: { id: string; reason: string },
): Promise<EndedConnection | null | undefined> {
  const body = JSON.stringify(asked);
  const answer = await ask<{ ended: EndedConnection | null }>(doorOf(folder, pid), "", {
    method: "POST",
    body,
  });
  return answer === null ? undefined : answer.ended;
}

async function ask<T>(unix: string, query: string, request: RequestInit): Promise<T | null> {
  try {
    const answer = await fetch(`http://worker/${query}`, {
      ...request,
      unix,
      keepalive: false,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return answer.ok ? ((await answer.json()) as T) : null;
  } catch {
    return null;
  }
}

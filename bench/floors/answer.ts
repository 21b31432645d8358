/**
 * Floor of the reads: a bare `Bun.serve` that parses the same request and answers the bytes of a
 * file, the very ones that the server answered. Arguments: port, file.
 */
import { readFileSync } from "node:fs";
import { readCommand, serveFloor } from "./serve-floor.ts";

const answer = new Uint8Array(readFileSync(process.argv[3]!));
const headers = { "content-type": "application/json; charset=utf-8" };

serveFloor(async (request) => {
  if ((await readCommand(request)) === null) return new Response(null, { status: 400 });
  return new Response(answer, { headers });
});

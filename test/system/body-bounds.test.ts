/** What the bodies of many requests may take together. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { peakMb, resetPeakMb } from "../support/processes.ts";
import { command } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(120_000);

const MIB = 2 ** 20;
const CLIENTS = 200;
const HEADER = "POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
/**
 * Beside what the server has before. The bodies of all clients are 200 MB; those that are held are
 * 32, and what was read of the refused ones is freed a little later, on a busy machine later still.
 */
const BODIES_MB_MAX = 180;

/** Sends a megabyte of a body that never ends. */
async function halfSent(port: number, isAnnounced: boolean): Promise<{ socket: Socket; answer(): string }> {
  const socket = connect({ port, host: "127.0.0.1" });
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  await once(socket, "connect");
  const head = isAnnounced
    ? `Content-Length: ${MIB}\r\n\r\n`
    : `Transfer-Encoding: chunked\r\n\r\n${MIB.toString(16)}\r\n`;
  socket.write(HEADER + head);
  socket.write(Buffer.alloc(MIB - 1, "x"));
  return { socket, answer: () => answer };
}

test.each([true, false])(
  "bodies that don't end have a bound together (length announced: %p)",
  async (isAnnounced) => {
    await using server = await startServer({ flags: ["--memory-mb", "512"] });
    resetPeakMb(server.pid);
    const beforeMb = peakMb(server.pid);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => halfSent(server.port, isAnnounced)),
    );
    // 32 MB are half of an eighth of 512.
    await waitUntil("most are refused", () => {
      const refused = clients.filter(({ answer }) => answer().startsWith("HTTP/1.1 429 "));
      return refused.length >= CLIENTS - 33;
    });
    const refusal = clients
      .map(({ answer }) => answer())
      .find((answer) => answer.startsWith("HTTP/1.1 429 "))!;
    expect(refusal).toContain("Retry-After");
    expect(refusal).toContain("body: those of the requests under way from 127.0.0.1 take");
    if (isAnnounced) expect(peakMb(server.pid) - beforeMb).toBeLessThan(BODIES_MB_MAX);
    const small = await command(server.url, "get_latest_price", { ticker: "A" });
    expect(small.status).toBe(200);
    for (const { socket } of clients) socket.destroy();
    await waitUntil("large ones are taken again", async () => {
      const large = await command(server.url, "get_latest_price", {
        ticker: "A",
        padding: "x".repeat(8 * MIB),
      });
      return large.status === 200;
    });
  },
);

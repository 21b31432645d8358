/** Processes that save into one PostgreSQL at once, by fixtures/postgres-writer-main.ts. */
import { expect } from "bun:test";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "..", "fixtures", "postgres-writer-main.ts");

/** One of several. @param me its number among them, from 0. */
export function startWriter(dbFile: string, part: string, { me, of }: { me: number; of: number }) {
  return Bun.spawn([process.execPath, "--no-orphans", MAIN, dbFile, part, String(me), String(of)], {
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** @returns what each of them has printed, when all have ended well. */
export async function runWriters(dbFile: string, part: string, processes: number): Promise<string[]> {
  const writers = Array.from({ length: processes }, (_, me) =>
    startWriter(dbFile, part, { me, of: processes }),
  );
  return await Promise.all(
    writers.map(async (writer) => {
      const [out, errors, code] = await Promise.all([
        new Response(writer.stdout).text(),
        new Response(writer.stderr).text(),
        writer.exited,
      ]);
      expect({ code, errors }).toEqual({ code: 0, errors: "" });
      return out.trim();
    }),
  );
}

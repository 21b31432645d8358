/**
 * `stock-db-server … | head -1`: the reader has gone, and nobody wants to see a stack trace for it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const MAIN = join(resolve(import.meta.dir, "../.."), "src/main.ts");

for (const args of [
  ["doctor", "--db-file", "none.db"],
  ["doctor", "--json", "--db-file", "none.db"],
  ["check", "http://127.0.0.1:1"],
  ["check", "--help"],
  ["import", "--help"],
  ["copy", "--help"],
  ["export", "--help"],
  ["replay", "--help"],
  ["help"],
]) {
  test(`${args.join(" ")} ends quietly when its output is closed`, async () => {
    using dir = tempDir();
    await using child = Bun.spawn(
      // The reader ends at once; the program is started when it has.
      [
        "sh",
        "-c",
        `mkfifo gone; { read _ < gone; "$@"; echo "$?" >&2; } | exec true > gone`,
        "sh",
        process.execPath,
        "--no-orphans",
        MAIN,
        ...args,
      ],
      {
        cwd: dir.path,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, NO_COLOR: "1" },
      },
    );
    expect(await child.stderr.text()).toMatch(/^(0|141)\n$/);
  });
}

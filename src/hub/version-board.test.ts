import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "../../test/support/temp-dir.ts";
import { createBoardFile, VersionBoard } from "./version-board.ts";

test("a bump changes the versions that it should, on every mapping of the file, and no other", () => {
  using dir = tempDir();
  const path = join(dir.path, "board");
  createBoardFile(path);
  const hub = new VersionBoard(path);
  const worker = new VersionBoard(path);
  const versions = () => [
    worker.version("AAPL", "daily"),
    worker.version("AAPL", "ticks"),
    worker.version("MSFT", "daily"),
    worker.versionOfAll("AAPL"),
  ];

  const first = versions();
  hub.bump("AAPL", "daily");
  const second = versions();
  expect(second.map((version, at) => version !== first[at])).toEqual([true, false, false, true]);

  hub.bumpAll();
  expect(versions().map((version, at) => version !== second[at])).toEqual([true, true, true, true]);
});

test("a single bump is seen however often everything was bumped before", () => {
  using dir = tempDir();
  const path = join(dir.path, "board");
  createBoardFile(path);
  const board = new VersionBoard(path);
  for (let epoch = 0; epoch < 2 ** 19 + 3; epoch++) {
    board.bumpAll();
    if (epoch < 2 ** 19 - 3) continue;
    const before = [board.version("AAPL", "ticks"), board.versionOfAll("AAPL")];
    board.bump("AAPL", "ticks");
    expect(board.version("AAPL", "ticks")).not.toBe(before[0]!);
    expect(board.versionOfAll("AAPL")).not.toBe(before[1]!);
  }
});

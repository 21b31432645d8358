import { expect, test } from "bun:test";
import { readSaveId, writeSaveId } from "./save-id.ts";

test("the id of a save comes through its header as it was, and nothing else is taken for one", () => {
  for (const identity of [
    { saveId: "aB_9-x-1", repeated: false },
    { saveId: "a".repeat(64), repeated: true },
  ])
    expect(readSaveId(writeSaveId(identity))).toEqual(identity);
  for (const header of [null, "", "a b", "a;repeat", ";repeated", "a".repeat(65), "ä"])
    expect(readSaveId(header)).toBeNull();
});

import { expect, test } from "bun:test";
import { BadMessageError, checkToHub } from "./check-message.ts";
import type { ToHub } from "./messages.ts";

const row = ["2024-01-02 00:00:00.000001", 1, 1, null, null, null, null, null];
const save = { kind: "ticks", ticker: "A", part: "trade", rows: [row], onDuplicate: "match" };
const update = { saveId: "s-1", repeated: false };

const check = (message: unknown) => () => checkToHub(message as ToHub);

test("what the workers send is let through", () => {
  for (const message of [
    { type: "saves", saves: [[1, { ...save, update }, 10]] },
    { type: "saves", saves: [[1, { ...save, rows: [] }, 0]] },
    {
      type: "saves",
      saves: [
        [
          1,
          {
            kind: "daily",
            part: null,
            ticker: "",
            rows: [["2024-01-02", 1, 1, 1, 1, "9"]],
            onDuplicate: "keep",
          },
          0,
        ],
      ],
    },
    { type: "committed", updates: [["A", { position: 1, type: "bar", frame: "{}" }]] },
    { type: "hello", workerId: 0, addresses: [["127.0.0.1", 2]] },
    { type: "lease", id: 1 },
    { type: "sql", id: 1, request: {}, timeoutMs: 1 },
  ])
    expect(check(message)).not.toThrow();
});

test("anything else is refused", () => {
  for (const message of [
    null,
    3,
    [],
    {},
    { type: "constructor" },
    { type: "saves", saves: {} },
    { type: "saves", saves: [null] },
    { type: "saves", saves: [["1", save, 0]] },
    { type: "saves", saves: [[1, { ...save, kind: "toString" }, 0]] },
    { type: "saves", saves: [[1, { ...save, rows: null }, 0]] },
    { type: "saves", saves: [[1, { ...save, rows: [[1, 1, 1, 1, 1, 1]] }, 0]] },
    { type: "saves", saves: [[1, { ...save, rows: [row.slice(1)] }, 0]] },
    { type: "saves", saves: [[1, { ...save, onDuplicate: "maybe" }, 0]] },
    { type: "saves", saves: [[1, { ...save, update: {} }, 0]] },
    {
      type: "saves",
      saves: [[1, { kind: "ticks", part: null, ticker: "A", rows: [], onDuplicate: "keep" }, 0]],
    },
    { type: "hello", workerId: 0, addresses: [[1, 2]] },
    { type: "committed", updates: [["A", { position: "1", type: "bar", frame: "{}" }]] },
    { type: "next", id: "1" },
  ])
    expect(check(message)).toThrow(BadMessageError);
});

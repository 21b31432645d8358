import { expect, test } from "bun:test";
import { rowOf } from "../../test/support/figures.ts";
import { FeedCounts } from "../feeds/feed-counts.ts";
import { FeedView } from "../feeds/feed-view.ts";
import { BadMessageError, checkToHub } from "./check-message.ts";
import type { ToHub } from "./messages.ts";

const row = ["2024-01-02 00:00:00.000001", 1, 1, null, null, null, null, null];
const save = { kind: "ticks", ticker: "A", part: "trade", rows: [row], onDuplicate: "match" };
const update = { saveId: "s-1", repeated: false };

const snapshot = rowOf("options", "2024-01-02 10:00:00.000000", { expiration_date: "2024-01-19" });
const chain = {
  kind: "options",
  ticker: "A",
  part: null,
  parts: ["C1"],
  rows: [snapshot],
  onDuplicate: "replace",
};

const check = (message: unknown) => () => checkToHub(message as ToHub);

test("what the workers send is let through", () => {
  for (const message of [
    { type: "saves", frameBytes: 10, saves: [[1, { ...save, update }, 10]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, rows: [] }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, rows: [] }, 0, [{ name: "price" }]]] },
    {
      type: "saves",
      frameBytes: 0,
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
    { type: "saves", frameBytes: 0, saves: [[1, chain, 0]] },
    { type: "committed", updates: [["A", { position: 1, type: "bar", frame: "{}" }]] },
    {
      ...{ type: "hello", workerId: 0, sockets: [["127.0.0.1", 2]] },
      feeds: new FeedView().known(),
    },
    { type: "feeds", counted: new FeedCounts().take() },
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
    { type: "saves", frameBytes: 0, saves: {} },
    { type: "saves", frameBytes: 0, saves: [null] },
    { type: "saves", frameBytes: 0, saves: [["1", save, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, kind: "toString" }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, rows: null }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, rows: [[1, 1, 1, 1, 1, 1]] }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, rows: [row.slice(1)] }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, onDuplicate: "maybe" }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...save, update: {} }, 0]] },
    {
      type: "saves",
      saves: [[1, { kind: "ticks", part: null, ticker: "A", rows: [], onDuplicate: "keep" }, 0]],
    },
    { type: "saves", frameBytes: 0, saves: [[1, { ...chain, parts: undefined }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...chain, parts: ["C1", "C2"] }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...chain, parts: [1] }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...chain, parts: "C1" }, 0]] },
    { type: "saves", frameBytes: 0, saves: [[1, { ...chain, onDuplicate: "error" }, 0]] },
    { type: "hello", workerId: 0, sockets: [[1, 2]], feeds: new FeedView().known() },
    { type: "hello", workerId: 0, sockets: [] },
    { type: "feeds", counted: { feeds: [{ ticker: 1 }], writers: [], leftOut: 0, renamed: [] } },
    { type: "feeds", counted: { feeds: [], writers: [null], leftOut: 0, renamed: [] } },
    { type: "committed", updates: [["A", { position: "1", type: "bar", frame: "{}" }]] },
    { type: "next", id: "1" },
  ])
    expect(check(message)).toThrow(BadMessageError);
});

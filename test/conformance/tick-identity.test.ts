/** Which tick is which, in every storage driver: by its id, by its request, by its values. */
import { expect } from "bun:test";
import type { SaveOutcome, SaveTicks, TickRow } from "../../src/storage/contract.ts";
import type { SaveUpdate } from "../../src/storage/update-contract.ts";
import { rowsOf } from "../support/answered.ts";
import { at } from "../support/saves.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

interface Tick {
  price: number;
  id?: string;
  extra?: string;
  second?: number;
  place?: number;
}

const rowOf = ({ price, id, extra, second = 1, place }: Tick): TickRow => [
  at(second),
  price,
  100,
  null,
  null,
  id ?? null,
  extra ?? null,
  place ?? null,
];

const save = (list: Tick[], more: Partial<SaveTicks> = {}): SaveTicks => ({
  kind: "ticks",
  ticker: "A",
  part: "trade",
  rows: list.map(rowOf),
  onDuplicate: "match",
  ...more,
});

let saves = 0;
/** Of a client that gives its request an identity. */
const request = (text: string, print: string): SaveUpdate => ({
  saveId: `save-${++saves}`,
  repeated: false,
  frame: '{"symbol":"A","data":{}}',
  request: { key: `key-of-${text}`, print, text },
});

const counts = (outcome: SaveOutcome | null) => {
  if (!outcome?.ok) return outcome?.status;
  const { stored, replaced = 0, repeated = 0, skipped = 0 } = outcome;
  return { stored, replaced, repeated, skipped };
};
const of = (stored: number, replaced = 0, repeated = 0, skipped = 0) => ({
  stored,
  replaced,
  repeated,
  skipped,
});

async function commit(db: OpenDatabase, ...batch: SaveTicks[]) {
  return (await db.writer.commit(batch)).map(counts);
}

const stored = async (db: OpenDatabase) =>
  (
    await rowsOf(
      db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null, withExtra: true }),
    )
  ).map(({ price, id, extra }) => [price, id, extra]);

withEachDriver({ topic: "tick identity" }, ({ testOf, withDatabase }) => {
  withDatabase("a tick with an id is the stored one of this id, and no other", async (db) => {
    const first = save([
      { price: 5, id: "1" },
      { price: 5, id: "2" },
      { price: 5, id: "123456789012345678901234567890" },
    ]);
    expect(await commit(db, first)).toEqual([of(3)]);
    expect(await commit(db, first)).toEqual([of(0, 0, 3)]);
    // Equal values and another id, or the same id at another stamp: another tick.
    expect(
      await commit(
        db,
        save([
          { price: 5, id: "3" },
          { price: 5, id: "1", second: 2 },
        ]),
      ),
    ).toEqual([of(2)]);
    // In any order, among others.
    expect(
      await commit(
        db,
        save([
          { price: 7, id: "9" },
          { price: 5, id: "3" },
          { price: 5, id: "1" },
        ]),
      ),
    ).toEqual([of(1, 0, 2)]);
    expect(await stored(db)).toEqual([
      [5, "1", null],
      [5, "2", null],
      [5, "123456789012345678901234567890", null],
      [5, "3", null],
      [7, "9", null],
      [5, "1", null],
    ]);
  });

  withDatabase("a known id with other values is a correction, as on_duplicate says", async (db) => {
    await commit(
      db,
      save([
        { price: 1, id: "a" },
        { price: 2, id: "b" },
      ]),
    );
    const correction = [{ price: 3, id: "b" }];
    expect(await commit(db, save(correction, { onDuplicate: "keep" }))).toEqual([of(0, 0, 0, 1)]);
    expect(await commit(db, save(correction, { onDuplicate: "append" }))).toEqual([of(0, 0, 0, 1)]);
    expect(await commit(db, save(correction, { onDuplicate: "error" }))).toEqual([409]);
    expect(await stored(db)).toEqual([
      [1, "a", null],
      [2, "b", null],
    ]);
    expect(await commit(db, save(correction, { onDuplicate: "replace" }))).toEqual([of(0, 1)]);
    expect(await commit(db, save([{ price: 4, id: "a" }]))).toEqual([of(0, 1)]);
    expect(await stored(db)).toEqual([
      [4, "a", null],
      [3, "b", null],
    ]);
  });

  withDatabase("an id twice in one save, and in two saves of one batch, is one tick", async (db) => {
    expect(
      await commit(
        db,
        save([
          { price: 1, id: "a" },
          { price: 1, id: "a" },
        ]),
      ),
    ).toEqual([of(1, 0, 1)]);
    expect(await commit(db, save([{ price: 2, id: "b" }]), save([{ price: 3, id: "b" }]))).toEqual([
      of(1),
      of(0, 1),
    ]);
    expect(await stored(db)).toEqual([
      [1, "a", null],
      [3, "b", null],
    ]);
  });

  withDatabase("a tick that was stored without its id gets it", async (db) => {
    await commit(db, save([{ price: 1 }, { price: 1 }]));
    expect(await commit(db, save([{ price: 1, id: "a" }]))).toEqual([of(0, 1)]);
    expect(
      await commit(
        db,
        save([
          { price: 1, id: "a" },
          { price: 1, id: "b" },
          { price: 1, id: "c" },
        ]),
      ),
    ).toEqual([of(1, 1, 1)]);
    // Without an id, each is one of the stored.
    expect(await commit(db, save([{ price: 1 }, { price: 1 }, { price: 1 }, { price: 1 }]))).toEqual([
      of(1, 0, 3),
    ]);
  });

  withDatabase("a request with an identity changes nothing when it comes again", async (db) => {
    const first = (): SaveTicks => save([{ price: 1 }, { price: 1 }], { update: request("r1", "p1") });
    const [outcome] = await db.writer.commit([{ ...first(), onDuplicate: "append" }]);
    expect(outcome).toMatchObject({ ok: true, stored: 2, position: 1 });
    // Equal ticks of another request are others.
    expect(
      await commit(
        db,
        save([{ price: 1 }, { price: 1 }], { onDuplicate: "append", update: request("r2", "p1") }),
      ),
    ).toEqual([of(2)]);
    const [again] = await db.writer.commit([{ ...first(), onDuplicate: "append" }]);
    expect(again).toMatchObject({ ok: true, stored: 2, position: 1, isRepetition: true });
    await db.reopen();
    const [later] = await db.writer.commit([{ ...first(), onDuplicate: "append" }]);
    expect(later).toMatchObject({ ok: true, stored: 2, position: 1, isRepetition: true });
    expect(await stored(db)).toHaveLength(4);
    // The same identity for another save.
    expect(
      await commit(db, save([{ price: 9 }], { onDuplicate: "append", update: request("r1", "p2") })),
    ).toEqual([409]);
    expect(await stored(db)).toHaveLength(4);
  });

  withDatabase("a request and its repetition may come in one batch", async (db) => {
    const one = (price: number, text: string, print: string): SaveTicks =>
      save([{ price }], { onDuplicate: "append", update: request(text, print) });
    const outcomes = await db.writer.commit([
      one(1, "r1", "p1"),
      one(1, "r2", "p1"),
      one(1, "r1", "p1"),
      one(2, "r1", "p2"),
    ]);
    expect(outcomes).toMatchObject([
      { ok: true, stored: 1, position: 1 },
      { ok: true, stored: 1, position: 2 },
      { ok: true, stored: 1, position: 1, isRepetition: true },
      { ok: false, status: 409 },
    ]);
    expect(await stored(db)).toHaveLength(2);
  });

  withDatabase("equal values are the stored tick, at any place, as often as they are stored", async (db) => {
    await commit(db, save([{ price: 10 }, { price: 11 }]));
    // A later file has one more in the middle.
    expect(await commit(db, save([{ price: 10 }, { price: 10.5 }, { price: 11 }]))).toEqual([of(1, 0, 2)]);
    expect(await commit(db, save([{ price: 11 }, { price: 10 }]))).toEqual([of(0, 0, 2)]);
    expect(await commit(db, save([{ price: 11 }, { price: 11 }]))).toEqual([of(1, 0, 1)]);
    // A feed missed the first of a stamp; the backfill has both.
    await commit(db, save([{ price: 2, second: 5 }]));
    expect(
      await commit(
        db,
        save([
          { price: 1, second: 5 },
          { price: 2, second: 5 },
        ]),
      ),
    ).toEqual([of(1, 0, 1)]);
    expect((await stored(db)).map(([price]) => price)).toEqual([10, 11, 10.5, 11, 2, 1]);
  });

  testOf("sql", "a hole that another program made is no reason to store a tick twice", (name) =>
    withDatabase(name, async (db) => {
      await commit(db, save([{ price: 1 }, { price: 2 }, { price: 3, second: 2 }]));
      await db.execute("DELETE FROM realtime_data WHERE price = 1");
      expect(await commit(db, save([{ price: 2 }]))).toEqual([of(0, 0, 1)]);
      expect(await commit(db, save([{ price: 2 }, { price: 2 }]))).toEqual([of(1, 0, 1)]);
      expect((await stored(db)).map(([price]) => price)).toEqual([2, 2, 3]);
    }),
  );

  withDatabase("append compares nothing", async (db) => {
    const twice = save([{ price: 1 }], { onDuplicate: "append" });
    expect(await commit(db, twice, twice)).toEqual([of(1), of(1)]);
    expect(await commit(db, twice)).toEqual([of(1)]);
    expect(await stored(db)).toHaveLength(3);
  });

  withDatabase("replace without ids goes by the place within the stamp", async (db) => {
    await commit(db, save([{ price: 10 }, { price: 1100 }, { price: 12 }]));
    const corrected = save([{ price: 10 }, { price: 11 }, { price: 12 }, { price: 13 }], {
      onDuplicate: "replace",
    });
    expect(await commit(db, corrected)).toEqual([of(1, 1, 2)]);
    expect((await stored(db)).map(([price]) => price)).toEqual([10, 11, 12, 13]);
  });

  withDatabase("a file that comes in several saves tells how often its ticks came before", async (db) => {
    const part = (occurrences: number[]): SaveTicks =>
      save(
        occurrences.map(() => ({ price: 1 })),
        { occurrences },
      );
    expect(await commit(db, part([0, 1]))).toEqual([of(2)]);
    expect(await commit(db, part([2]))).toEqual([of(1)]);
    // The same file again, and a part of it that was sent twice.
    expect(await commit(db, part([0, 1]), part([2]), part([2]))).toEqual([
      of(0, 0, 2),
      of(0, 0, 1),
      of(0, 0, 1),
    ]);
    expect(await stored(db)).toHaveLength(3);
  });

  withDatabase("what a tick has beside its columns is kept, and tells ticks apart", async (db) => {
    const odd = '{"c":["@",{"x":1},  {"y":"},{"}],"n":12345678901234567890,"ü":"\\n"}';
    const list = [
      { price: 1, extra: '{"x":"V"}' },
      { price: 1, extra: '{"x":"Q"}' },
      { price: 2, extra: odd },
    ];
    expect(await commit(db, save(list))).toEqual([of(3)]);
    expect(await commit(db, save(list))).toEqual([of(0, 0, 3)]);
    expect(await commit(db, save([{ price: 1, extra: '{"x":"Z"}' }]))).toEqual([of(1)]);
    // Whoever doesn't know the exchange may mean any of them.
    expect(await commit(db, save([{ price: 1 }, { price: 2 }]))).toEqual([of(0, 0, 2)]);
    await commit(db, save([{ price: 3 }]));
    expect(await commit(db, save([{ price: 3, extra: '{"x":"V"}' }]))).toEqual([of(0, 1)]);
    expect(await stored(db)).toEqual([
      [1, null, { x: "V" }],
      [1, null, { x: "Q" }],
      [2, null, JSON.parse(odd)],
      [1, null, { x: "Z" }],
      [3, null, { x: "V" }],
    ]);
    const plain = await rowsOf(
      db.reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null }),
    );
    expect(Object.keys(plain[0]!)).not.toContain("extra");
    expect(Object.keys(plain[0]!)).not.toContain("id");
  });

  withDatabase("a stored tick is one of the save's, of the one with an id before the others", async (db) => {
    await commit(db, save([{ price: 1, id: "1" }]));
    const mixed = save([{ price: 1 }, { price: 1, id: "1" }]);
    expect(await commit(db, mixed)).toEqual([of(1, 0, 1)]);
    expect(await commit(db, mixed)).toEqual([of(0, 0, 2)]);
    // The new id is of the one that had none.
    const more = save([{ price: 1 }, { price: 1, id: "2" }, { price: 1, id: "1" }, { price: 1 }]);
    expect(await commit(db, more)).toEqual([of(2, 1, 1)]);
    expect(await stored(db)).toEqual([
      [1, "1", null],
      [1, "2", null],
      [1, null, null],
      [1, null, null],
    ]);
  });

  withDatabase("of equal ticks, those with the same columns are the same", async (db) => {
    const venue = '{"x":"V"}';
    await commit(db, save([{ price: 1, extra: venue }, { price: 1 }]));
    expect(await commit(db, save([{ price: 1 }, { price: 1, extra: venue }]))).toEqual([of(0, 0, 2)]);
    await commit(db, save([{ price: 2, extra: venue, second: 2 }]));
    const both = save([
      { price: 2, second: 2 },
      { price: 2, extra: venue, second: 2 },
    ]);
    expect(await commit(db, both)).toEqual([of(1, 0, 1)]);
    expect(await commit(db, both)).toEqual([of(0, 0, 2)]);
    expect(await stored(db)).toEqual([
      [1, null, { x: "V" }],
      [1, null, null],
      [2, null, { x: "V" }],
      [2, null, null],
    ]);
  });

  withDatabase("no record overwrites another one of its save", async (db) => {
    await commit(db, save([{ price: 1, id: "1" }, { price: 2 }]));
    const list = [{ price: 3, id: "3" }, { price: 4 }, { price: 5, id: "5" }, { price: 6 }];
    const replacing = save(list, { onDuplicate: "replace" });
    expect(await commit(db, replacing)).toEqual([of(3, 1)]);
    expect(await stored(db)).toEqual([
      [1, "1", null],
      [4, null, null],
      [3, "3", null],
      [5, "5", null],
      [6, null, null],
    ]);
    // The known ones have their places, and the others don't get these.
    await commit(db, save([{ price: 1, id: "1", second: 2 }]));
    const known = [
      { price: 7, second: 2 },
      { price: 8, id: "1", second: 2 },
    ];
    expect(await commit(db, save(known, { onDuplicate: "replace" }))).toEqual([of(1, 1)]);
    expect((await stored(db)).slice(5)).toEqual([
      [8, "1", null],
      [7, null, null],
    ]);
  });

  withDatabase("places that a save names twice lose nothing", async (db) => {
    const twice = (onDuplicate: SaveTicks["onDuplicate"], second: number) =>
      save(
        [
          { price: 1, place: 0, second },
          { price: 2, place: 0, second },
          { price: 2, place: 0, id: "2", second },
          { price: 1, place: 0, second },
        ],
        { onDuplicate },
      );
    for (const [second, rule] of (["match", "replace"] as const).entries()) {
      expect([rule, await commit(db, twice(rule, second))]).toEqual([rule, [of(3, 0, 1)]]);
    }
    expect((await stored(db)).map(([price, id]) => [price, id])).toEqual([
      [1, null],
      [2, null],
      [2, "2"],
      [1, null],
      [2, null],
      [2, "2"],
    ]);
  });

  withDatabase("an id stands above the request: a later one corrects it", async (db) => {
    const sent = (text: string, list: Tick[]): SaveTicks =>
      save(list, { onDuplicate: "request", update: request(text, `print of ${text}`) });
    const first = [{ price: 1, id: "1" }, { price: 2 }];
    expect(await commit(db, sent("r1", first))).toEqual([of(2)]);
    expect(await commit(db, sent("r2", [{ price: 3, id: "1" }, { price: 2 }]))).toEqual([of(1, 1)]);
    expect(await commit(db, sent("r3", [{ price: 3, id: "1" }]))).toEqual([of(0, 0, 1)]);
    await db.reopen();
    expect(await commit(db, sent("r1", first))).toEqual([of(2)]);
    expect(await stored(db)).toEqual([
      [3, "1", null],
      [2, null, null],
      [2, null, null],
    ]);
  });

  withDatabase("a new id is none of the stored where nothing is compared", async (db) => {
    await commit(db, save([{ price: 1 }]));
    expect(await commit(db, save([{ price: 1, id: "1" }], { onDuplicate: "append" }))).toEqual([of(1)]);
    const sent = save([{ price: 1, id: "2" }], { onDuplicate: "request", update: request("r9", "p") });
    expect(await commit(db, sent)).toEqual([of(1)]);
    expect(await stored(db)).toEqual([
      [1, null, null],
      [1, "1", null],
      [1, "2", null],
    ]);
  });

  withDatabase("what a tick with a known id doesn't bring stays, unless it replaces", async (db) => {
    await commit(db, save([{ price: 1, id: "1", extra: '{"x":"V"}' }]));
    expect(await commit(db, save([{ price: 1, id: "1" }]))).toEqual([of(0, 0, 1)]);
    expect(await commit(db, save([{ price: 1, id: "1" }], { onDuplicate: "keep" }))).toEqual([of(0, 0, 1)]);
    expect(await commit(db, save([{ price: 2, id: "1" }]))).toEqual([of(0, 1)]);
    expect(await stored(db)).toEqual([[2, "1", { x: "V" }]]);
    expect(await commit(db, save([{ price: 2, id: "1" }], { onDuplicate: "replace" }))).toEqual([of(0, 1)]);
    expect(await stored(db)).toEqual([[2, "1", null]]);
  });

  withDatabase("a save that changes nothing is no update, whatever the rule", async (db) => {
    const list = [{ price: 1 }, { price: 2, id: "2" }];
    await commit(db, save(list));
    for (const onDuplicate of ["match", "keep", "replace"] as const) {
      const [outcome] = await db.writer.commit([save(list, { onDuplicate })]);
      expect(outcome).toMatchObject({ ok: true, stored: 0, repeated: 2, position: null });
    }
  });

  withDatabase(
    "what replaces and finds its place taken comes twice without being stored twice",
    async (db) => {
      await commit(db, save([{ price: 1, id: "1" }]));
      const list = [{ price: 2 }, { price: 3, id: "1" }, { price: 2 }];
      const replacing = save(list, { onDuplicate: "replace" });
      expect(await commit(db, replacing)).toEqual([of(2, 1)]);
      expect(await commit(db, replacing)).toEqual([of(0, 0, 3)]);
      expect((await stored(db)).map(([price]) => price)).toEqual([3, 2, 2]);
    },
  );

  withDatabase("an id that comes twice in a save is one tick, whatever its other columns", async (db) => {
    const [one, two] = ['{"x":1}', '{"x":2}'];
    await commit(db, save([{ price: 1, extra: two }, { price: 1 }, { price: 1 }]));
    const twice = [{ price: 1, id: "1" }, { price: 1 }, { price: 1, id: "1", extra: one }];
    expect(await commit(db, save(twice))).toEqual([of(0, 2, 1)]);
    expect(await stored(db)).toEqual([
      [1, null, { x: 2 }],
      [1, "1", { x: 1 }],
      [1, null, null],
    ]);
    for (const list of [
      [
        { price: 5, id: "5" },
        { price: 5, id: "5" },
      ],
      [
        { price: 5, place: 7 },
        { price: 6, place: 7 },
      ],
    ])
      expect(await commit(db, save(list, { onDuplicate: "error" }))).toEqual([409]);
    expect(await stored(db)).toHaveLength(3);
  });
});

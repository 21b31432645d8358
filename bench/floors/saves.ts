/**
 * Floor of the durable saves: a bare `Bun.serve` that collects the requests of a turn of its event
 * loop, puts their rows into SQLite in one transaction (WAL, synchronous FULL, the table that the
 * server has), and then answers them. No routing, no validation, no other process or thread.
 * Arguments: port, database file, file with the answer.
 */
import { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { readCommand, serveFloor, type TickCommand } from "./serve-floor.ts";

const db = new Database(process.argv[3]!);
db.run("pragma journal_mode = wal");
db.run("pragma synchronous = full");
db.run(`create table ticks (
  ticker text not null, timestamp text not null, type text not null, seq integer not null default 0,
  price real, size integer, ask_price real, ask_size integer, write_timestamp text,
  primary key (ticker, timestamp, type, seq)) without rowid`);
const insert = db.query("insert into ticks values (?, ?, ?, 0, ?, ?, null, null, ?) on conflict do nothing");
const count = db.query<{ n: number }, []>("select count(*) as n from ticks");

const answer = new Uint8Array(readFileSync(process.argv[4]!));
const headers = { "content-type": "application/json; charset=utf-8" };
let turn: { command: TickCommand; answered: (response: Response) => void }[] = [];

serveFloor(
  async (request) => {
    const command = await readCommand(request);
    if (command === null) return new Response(null, { status: 400 });
    return await new Promise<Response>((answered) => {
      if (turn.length === 0) setImmediate(commitTurn);
      turn.push({ command, answered });
    });
  },
  { count: () => count.get()!.n },
);

function commitTurn(): void {
  const saves = turn;
  turn = [];
  const writtenAt = new Date().toISOString();
  db.run("begin immediate");
  for (const { command } of saves) {
    const { ticker, data_type, data } = command.params;
    for (const row of data) insert.run(ticker, row.timestamp, data_type, row.price, row.size, writtenAt);
  }
  db.run("commit");
  for (const { answered } of saves) answered(new Response(answer, { headers }));
}

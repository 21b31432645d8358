/**
 * What goes in and out of a worker, by door: bytes and rows. On the way of every answer and frame,
 * so that to note one takes some nanoseconds.
 */
import { labelsText, type Samples } from "./samples.ts";

const DOORS = ["http", "websocket", "event_stream", "replay", "alpaca"] as const;

export type TrafficDoor = (typeof DOORS)[number];
/** Those that answer requests. */
export type RequestDoor = Extract<TrafficDoor, "http" | "alpaca">;

/** Told of what a key's client sends and receives. */
type NoteBytes = (bytes: number) => void;

interface DoorCounts {
  receivedBytes: number;
  sentBytes: number;
  sentRows: number;
}

/** Of one client, or of all clients of a door whose bytes have no bound. */
export class Meter {
  readonly #counts: DoorCounts;
  readonly #note: NoteBytes | null;

  constructor(counts: DoorCounts, note: NoteBytes | null) {
    this.#counts = counts;
    this.#note = note;
  }

  /** The bytes have a bound: what goes to several clients at once isn't told here. */
  get isBounded(): boolean {
    return this.#note !== null;
  }

  received(bytes: number): void {
    this.#counts.receivedBytes += bytes;
    this.#note?.(bytes);
  }

  sent(bytes: number): void {
    this.#counts.sentBytes += bytes;
    this.#note?.(bytes);
  }

  sentRows(rows: number): void {
    this.#counts.sentRows += rows;
  }
}

export class Traffic {
  readonly #counts = new Map<TrafficDoor, DoorCounts>();
  readonly #meters = new Map<TrafficDoor, Meter>();

  constructor() {
    for (const door of DOORS) {
      const counts = { receivedBytes: 0, sentBytes: 0, sentRows: 0 };
      this.#counts.set(door, counts);
      this.#meters.set(door, new Meter(counts, null));
    }
  }

  /** @param note null: the client's bytes have no bound. */
  meter(door: TrafficDoor, note: NoteBytes | null = null): Meter {
    return note === null ? this.#meters.get(door)! : new Meter(this.#counts.get(door)!, note);
  }

  samples(): Samples {
    const received: Record<string, number> = {};
    const sent: Record<string, number> = {};
    const rows: Record<string, number> = {};
    for (const [door, counts] of this.#counts) {
      const label = labelsText({ door });
      received[label] = counts.receivedBytes;
      sent[label] = counts.sentBytes;
      rows[label] = counts.sentRows;
    }
    return {
      stock_db_received_bytes_total: received,
      stock_db_sent_bytes_total: sent,
      stock_db_sent_rows_total: rows,
    };
  }
}

/** Of a frame, which is a text or packed. */
export function bytesIn(frame: string | Uint8Array): number {
  return typeof frame === "string" ? Buffer.byteLength(frame) : frame.length;
}

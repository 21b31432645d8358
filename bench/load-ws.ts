/**
 * The fan-out load, a process of its own: many WebSocket subscribers of one ticker over bare TCP, and keep-alive
 * connections ("writers") that save trades. A trade's `size` is its number: with W writers, writer w sends w, w + W,
 * w + 2W and so on. So each subscriber must see the numbers of each writer without a gap; a lost, repeated or reordered
 * update makes the measurement invalid. One process reads and saves, so both ends of a latency are on one clock.
 */
import type { Socket } from "bun";
import { AnswerReader } from "./http-answers.ts";
import { Latencies } from "./latencies.ts";
import { LOOPBACK, type WsPlan, type WsResult } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { encodeRequest, tickSave, tickStamp } from "./requests.ts";
import { clientFrame, FrameReader, OPCODE_CLOSE, OPCODE_PING, OPCODE_TEXT } from "./ws-frames.ts";

if (import.meta.main) runAsLoadProcess("ws", runWsLoad);

/** Numbers have seven digits from the first to the last, so that updates are of one length. */
const FIRST_NUMBER = 1_000_000;
const NUMBER_DIGITS = 7;
/** Connections being opened at a time: well below a listener's backlog. */
const OPENING_MAX = 50;
const READY_MS = 20_000;
/** For updates under way at the end of a phase. */
const DRAIN_MS = 10_000;
const SAVE_ANSWER_MS = 10_000;
const REASONS_MAX = 5;
const WARMUP_SAVES = 20;

async function runWsLoad(plan: WsPlan, hooks: LoadHooks): Promise<WsResult> {
  const load = new Fanout(plan);
  try {
    await load.open();
    await load.saveBackToBack({ ms: 0, savesMin: WARMUP_SAVES });
    await load.settle();
    hooks.measuring();

    load.latencies.clear();
    const cpu = startCpuMeter();
    const startedAt = performance.now();
    const before = { saves: load.saves, frames: load.frames };
    await load.saveBackToBack({ ms: plan.rateMs, savesMin: plan.savesMin });
    await load.settle();
    const seconds = (performance.now() - startedAt) / 1000;
    const clientCpu = cpu();
    const frames = load.frames - before.frames;
    const saves = load.saves - before.saves;
    const backToBackMs = load.latencies.summary();

    load.latencies.clear();
    const pacedSaves = Math.round((plan.pacedMs / 1000) * plan.pacedPerSecond);
    const pacedAt = performance.now();
    for (let i = 0; i < pacedSaves; i++) {
      await Bun.sleep(Math.max(0, pacedAt + (i * 1000) / plan.pacedPerSecond - performance.now()));
      await load.save(0);
    }
    await load.settle();
    return {
      kind: "ws",
      saves,
      framesPerSecond: frames / seconds,
      savesPerSecond: saves / seconds,
      backToBackMs,
      pacedMs: load.latencies.summary(),
      clientCpu,
      frameBytes: load.frameBytes,
      invalid: load.invalid,
    };
  } finally {
    load.close();
  }
}

class Fanout {
  readonly latencies = new Latencies();
  readonly invalid: string[] = [];
  saves = 0;
  frames = 0;
  frameBytes = 0;

  /** Where the number stands in an update of `frameBytes` bytes. */
  #numberAt = 0;
  #sentAt: number[] = [];
  #savers: Saver[] = [];
  /** Saves that each writer has sent. */
  readonly #savesOf: number[];
  readonly #subscribers: Subscriber[] = [];
  readonly #plan: WsPlan;

  constructor(plan: WsPlan) {
    this.#plan = plan;
    this.#savesOf = Array.from({ length: plan.writers }, () => 0);
  }

  get writers(): number {
    return this.#plan.writers;
  }

  async open(): Promise<void> {
    while (this.#subscribers.length < this.#plan.subscribers) {
      const count = Math.min(OPENING_MAX, this.#plan.subscribers - this.#subscribers.length);
      const group = Array.from({ length: count }, () => new Subscriber(this));
      this.#subscribers.push(...group);
      await Promise.all(group.map((s) => s.open(this.#plan.port, this.#plan.ticker)));
    }
    // The first frame, a price or a heartbeat, proves that the socket is subscribed.
    await this.#until(
      READY_MS,
      () => this.#subscribers.every((s) => s.ready),
      "not every subscriber got a first frame",
    );
    while (this.#savers.length < this.writers) this.#savers.push(await openSaver(this.#plan.port));
  }

  /** Every writer saves again as soon as it has its answer, until the time is over and there are enough saves. */
  async saveBackToBack({ ms, savesMin }: { ms: number; savesMin: number }): Promise<void> {
    const startedAt = performance.now();
    const savesAtStart = this.saves;
    const goesOn = () => performance.now() - startedAt < ms || this.saves - savesAtStart < savesMin;
    const saveOn = async (writer: number) => {
      while (goesOn() && this.invalid.length === 0) await this.save(writer);
    };
    await Promise.all(this.#savers.map((_, writer) => saveOn(writer)));
  }

  async save(writer: number): Promise<void> {
    this.saves++;
    const number = this.#savesOf[writer]!++ * this.writers + writer;
    const timestamp = tickStamp(this.#plan.firstIndex + number);
    const body = tickSave({ ticker: this.#plan.ticker, timestamp, size: FIRST_NUMBER + number });
    const request = encodeRequest(body, this.#plan.port);
    this.#sentAt[number] = performance.now();
    await this.#savers[writer]!.post(request);
  }

  /** Waits until every subscriber has every update. */
  async settle(): Promise<void> {
    const expected = this.saves * this.#plan.subscribers;
    await this.#until(DRAIN_MS, () => this.frames >= expected, "updates were lost");
    const lacking = this.#subscribers.filter((s) => s.seen.some((n, w) => n !== this.#savesOf[w])).length;
    if (lacking > 0) this.reject(`${lacking} of ${this.#plan.subscribers} subscribers lack updates`);
  }

  close(): void {
    for (const subscriber of this.#subscribers) subscriber.close();
    for (const saver of this.#savers) saver.close();
  }

  /** @returns The update's number counted from 0, or -1 for another frame (heartbeat, first price). */
  numberOf(bytes: Buffer, start: number, end: number): number {
    if (end - start !== this.frameBytes) return this.#learn(bytes, start, end);
    let number = 0;
    const from = start + this.#numberAt;
    for (let at = from; at < from + NUMBER_DIGITS; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) return this.#learn(bytes, start, end);
      number = number * 10 + digit;
    }
    return number - FIRST_NUMBER;
  }

  took(number: number, at: number): void {
    this.frames++;
    this.latencies.add(at - this.#sentAt[number]!);
  }

  reject(reason: string): void {
    if (this.invalid.length < REASONS_MAX && !this.invalid.includes(reason)) this.invalid.push(reason);
  }

  #learn(bytes: Buffer, start: number, end: number): number {
    const text = bytes.toString("latin1", start, end);
    const size = text.includes('"payload"') ? /"size": ?(\d{7})\b/.exec(text) : null;
    if (size === null) return -1;
    this.frameBytes = end - start;
    this.#numberAt = size.index + size[0].length - NUMBER_DIGITS;
    return Number(size[1]) - FIRST_NUMBER;
  }

  async #until(ms: number, holds: () => boolean, otherwise: string): Promise<void> {
    const deadline = performance.now() + ms;
    while (!holds() && this.invalid.length === 0) {
      if (performance.now() > deadline) return this.reject(otherwise);
      await Bun.sleep(1);
    }
  }
}

class Subscriber {
  /** How many updates of each writer have come, in order. */
  readonly seen: number[];
  ready = false;
  #closing = false;
  #upgraded = false;
  #head = Buffer.alloc(0);
  #socket: Socket | null = null;
  readonly #frames: FrameReader;
  readonly #fanout: Fanout;

  constructor(fanout: Fanout) {
    this.#fanout = fanout;
    this.seen = Array.from({ length: fanout.writers }, () => 0);
    this.#frames = new FrameReader((opcode, bytes, start, end) => this.#take(opcode, bytes, start, end));
  }

  async open(port: number, ticker: string): Promise<void> {
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
    this.#socket = await Bun.connect({
      hostname: LOOPBACK,
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket;
          socket.write(
            `GET /ws?symbol=${ticker} HTTP/1.1\r\nHost: ${LOOPBACK}:${port}\r\nUpgrade: websocket\r\n` +
              `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
          );
        },
        data: (_, bytes) => this.#feed(bytes),
        close: () => this.#lost("closed by the server"),
        error: (_, error) => this.#lost(error.message),
      },
    });
  }

  close(): void {
    this.#closing = true;
    this.#socket?.terminate();
  }

  #feed(bytes: Buffer): void {
    try {
      if (this.#upgraded) this.#frames.feed(bytes);
      else this.#readHandshake(bytes);
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    }
  }

  #readHandshake(bytes: Buffer): void {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#head.toString("latin1", 0, end);
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`no upgrade: ${head.split("\r\n")[0]}`);
    this.#upgraded = true;
    const rest = this.#head.subarray(end + 4);
    if (rest.length > 0) this.#frames.feed(rest);
  }

  #take(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === OPCODE_TEXT) this.#takeText(bytes, start, end);
    if (opcode === OPCODE_PING) this.#socket!.write(clientFrame(0xa, bytes.subarray(start, end)));
    if (opcode === OPCODE_CLOSE) throw new Error("close frame");
  }

  #takeText(bytes: Buffer, start: number, end: number): void {
    this.ready = true;
    const number = this.#fanout.numberOf(bytes, start, end);
    if (number < 0) return;
    const writer = number % this.seen.length;
    const due = this.seen[writer]! * this.seen.length + writer;
    if (number !== due) this.#fanout.reject(`a subscriber got update ${number} where ${due} was due`);
    this.seen[writer]!++;
    this.#fanout.took(number, performance.now());
  }

  #lost(reason: string): void {
    if (!this.#closing) this.#fanout.reject(`a subscriber's connection was lost: ${reason}`);
  }
}

interface Saver {
  /** Resolves with the answer's arrival. @throws Error Not 200, or no answer in time. */
  post(request: Uint8Array): Promise<void>;
  close(): void;
}

async function openSaver(port: number): Promise<Saver> {
  let waiting: PromiseWithResolvers<void> | null = null;
  const reader = new AnswerReader((answer) => {
    if (answer.status === 200) waiting?.resolve();
    else waiting?.reject(new Error(`a save was answered with status ${answer.status}`));
  });
  const socket = await Bun.connect({
    hostname: LOOPBACK,
    port,
    socket: {
      data: (_, bytes) => reader.feed(bytes),
      close: () => waiting?.reject(new Error("the saving connection was closed")),
      error: (_, error) => waiting?.reject(error),
    },
  });
  return {
    async post(request) {
      waiting = Promise.withResolvers<void>();
      const timer = setTimeout(() => waiting?.reject(new Error("a save was never answered")), SAVE_ANSWER_MS);
      socket.write(request);
      await waiting.promise.finally(() => clearTimeout(timer));
    },
    close: () => {
      waiting = null;
      socket.terminate();
    },
  };
}

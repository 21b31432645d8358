/**
 * The HTTP load generator, a process of its own: keep-alive connections over bare TCP, each with
 * one request under way. Status and length of every answer are checked, the body of some; a request
 * without its answer makes the whole measurement invalid.
 */
import type { Socket } from "bun";
import { type Answer, AnswerReader } from "./http-answers.ts";
import { Latencies } from "./latencies.ts";
import { type BodyCheck, type HttpPlan, type HttpResult, LOOPBACK } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { type NextRequest, requestsFor } from "./requests.ts";

if (import.meta.main) runAsLoadProcess("http", runHttpLoad);

/** A connection's first answer and then each of this many is read in full. */
const SPOT_CHECK_EVERY = 500;
/** For the last answers after the measurement. */
const DRAIN_MS = 10_000;
/** One of each kind tells what is wrong; thousands would hide it. */
const REASONS_MAX = 5;

async function runHttpLoad(plan: HttpPlan, hooks: LoadHooks): Promise<HttpResult> {
  const load = new HttpLoad(plan);
  await load.connect();
  await Promise.race([Bun.sleep(plan.warmupMs), load.broken]);
  hooks.measuring();
  load.startWindow();
  const cpu = startCpuMeter();
  const startedAt = performance.now();
  await Promise.race([Bun.sleep(plan.measureMs), hooks.stopped, load.broken]);
  const answers = load.windowAnswers;
  const elapsedMs = performance.now() - startedAt;
  const clientCpu = cpu();
  await load.drain();
  return {
    kind: "http",
    answers,
    elapsedMs,
    sent: load.sent,
    latencyMs: load.latencies.summary(),
    clientCpu,
    invalid: load.invalid,
  };
}

class HttpLoad {
  readonly latencies = new Latencies();
  readonly invalid: string[] = [];
  sent = 0;
  windowAnswers = 0;
  /** Resolves when nothing can be measured any more. */
  readonly broken: Promise<void>;

  #stopping = false;
  readonly #break: () => void;
  readonly #plan: HttpPlan;
  readonly #nextRequest: NextRequest;
  readonly #connections: Connection[] = [];

  constructor(plan: HttpPlan) {
    this.#plan = plan;
    this.#nextRequest = requestsFor(plan.requests, plan.port, plan.key ?? null);
    const broken = Promise.withResolvers<void>();
    this.broken = broken.promise;
    this.#break = broken.resolve;
  }

  async connect(): Promise<void> {
    for (let i = 0; i < this.#plan.connections; i++) {
      const connection = new Connection(this);
      this.#connections.push(connection);
      await connection.open(this.#plan.port);
    }
  }

  startWindow(): void {
    this.latencies.clear();
    this.windowAnswers = 0;
  }

  /** Lets every request under way be answered; what is not by then is lost. */
  async drain(): Promise<void> {
    this.#stopping = true;
    const deadline = performance.now() + DRAIN_MS;
    while (this.#connections.some((c) => c.waiting) && performance.now() < deadline) await Bun.sleep(5);
    const lost = this.#connections.filter((c) => c.waiting).length;
    if (lost > 0) this.reject(`${lost} requests were never answered`);
    for (const connection of this.#connections) connection.close();
  }

  /** @returns The request to write, or null when the load is over. */
  takeRequest(): Uint8Array | null {
    if (this.#stopping) return null;
    this.sent++;
    return this.#nextRequest();
  }

  get pauseMs(): number {
    return this.#plan.pauseMs;
  }

  take(answer: Answer, latencyMs: number): void {
    this.windowAnswers++;
    this.latencies.add(latencyMs);
    if (answer.status === 429 && this.#plan.mayBeRefused) return;
    if (answer.status !== 200) {
      const body = answer.body === null ? "" : `: ${Buffer.from(answer.body).toString().slice(0, 200)}`;
      this.reject(`an answer has status ${answer.status}${body}`);
    } else if (answer.body !== null) {
      const wrong = wrongBody(answer.body, this.#plan.check);
      if (wrong !== null) this.reject(wrong);
    }
  }

  reject(reason: string): void {
    if (this.invalid.length < REASONS_MAX && !this.invalid.includes(reason)) this.invalid.push(reason);
    if (this.invalid.length === REASONS_MAX || reason.startsWith("connection")) this.#break();
  }
}

class Connection {
  waiting = false;
  #writtenAt = 0;
  #answers = 0;
  #socket: Socket | null = null;
  readonly #reader: AnswerReader;
  readonly #load: HttpLoad;

  constructor(load: HttpLoad) {
    this.#load = load;
    this.#reader = new AnswerReader((answer) => this.#answered(answer));
  }

  async open(port: number): Promise<void> {
    this.#socket = await Bun.connect({
      hostname: LOOPBACK,
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket;
          this.#ask();
        },
        data: (_, bytes) => this.#feed(bytes),
        close: () => {
          if (this.waiting) this.#load.reject("connection closed by the server with a request under way");
        },
        error: (_, error) => this.#load.reject(`connection failed: ${error.message}`),
      },
    });
  }

  close(): void {
    this.waiting = false;
    this.#socket?.terminate();
  }

  #ask(): void {
    const request = this.#load.takeRequest();
    if (request === null) return;
    this.#reader.wantBody = this.#answers % SPOT_CHECK_EVERY === 0;
    this.waiting = true;
    this.#writtenAt = performance.now();
    // A request is smaller than any socket buffer, and the one before has been read.
    if (this.#socket!.write(request) !== request.length)
      this.#load.reject("connection took only part of a request");
  }

  #feed(bytes: Buffer): void {
    try {
      this.#reader.feed(bytes);
    } catch (error) {
      this.#load.reject(`connection unreadable: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #answered(answer: Answer): void {
    this.waiting = false;
    this.#answers++;
    this.#load.take(answer, performance.now() - this.#writtenAt);
    if (this.#load.pauseMs === 0) this.#ask();
    else setTimeout(() => this.#ask(), this.#load.pauseMs);
  }
}

/** What is wrong with a body, or null. */
function wrongBody(body: Uint8Array, check: BodyCheck): string | null {
  const text = Buffer.from(body).toString();
  if (check.kind === "contains") {
    return text.includes(check.text) ? null : `an answer lacks ${check.text}: ${text.slice(0, 200)}`;
  }
  const answer = JSON.parse(text) as { data?: unknown[]; latest_price?: unknown };
  if (check.kind === "rows") {
    const rows = answer.data?.length;
    return rows === check.rows ? null : `an answer has ${rows} rows, expected ${check.rows}`;
  }
  return answer.latest_price === check.price
    ? null
    : `an answer says latest_price ${String(answer.latest_price)}, expected ${check.price}`;
}

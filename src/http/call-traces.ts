/** Traces of the requests of a worker. It is loaded only where `--otlp-endpoint` is given. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { CommandContext } from "../commands/context.ts";
import { tracedContext } from "../commands/traced.ts";
import type { OtlpTarget } from "../config/otlp-target.ts";
import type { LogLines } from "../observe/log.ts";
import { newTraceId } from "../observe/traces/random-ids.ts";
import { SpanExporter } from "../observe/traces/span-exporter.ts";
import { type SpanAttributes, Trace } from "../observe/traces/trace.ts";
import { readTraceParent } from "../observe/traces/trace-parent.ts";

/** A path that anybody may send. */
const PATH_CHARACTERS_MAX = 300;
/** The wall clock was set, or the machine was suspended. */
const CLOCK_JUMP_MS = 5;
const SERVICE = "stock-db-server";
/** By the semantic conventions of databases; others have their own names there. */
const SYSTEMS: Record<string, string> = { timescaledb: "postgresql", remote: SERVICE };

/** The part of a call that is needed here. */
interface TracedCall {
  readonly request: Request;
  readonly path: string;
  readonly what: string;
  readonly caller: { readonly hash: string | null; readonly name: string };
  readonly requestId: string | null;
  readonly held: { whenOver(act: () => void): void } | null;
}

export interface CallTracesOptions {
  target: OtlpTarget;
  /** `--otlp-sample`. */
  ratio: number;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  version: string;
  /** As WorkerOptions has it. */
  dbType: string;
  scheme: "http" | "https";
  log: Pick<LogLines, "info" | "warning">;
}

export class CallTraces {
  readonly #exporter: SpanExporter;
  readonly #ratio: number;
  readonly #scheme: string;
  readonly #system: string;
  #originMs = performance.timeOrigin;

  constructor({ target, ratio, workerId, version, dbType, scheme, log }: CallTracesOptions) {
    this.#ratio = ratio;
    this.#scheme = scheme;
    this.#system = SYSTEMS[dbType] ?? dbType;
    const resource = {
      "service.name": SERVICE,
      "service.version": version,
      "service.instance.id": randomUUID(),
      "host.name": hostname(),
      "process.pid": process.pid,
      "stock_db.worker": workerId ?? 0,
    };
    this.#exporter = new SpanExporter({ target, resource, scope: { name: SERVICE, version }, log });
  }

  /** Spans that no collector has got. */
  get dropped(): number {
    return this.#exporter.dropped;
  }

  /** @returns null: the request isn't traced. */
  begin(headers: Headers): CallTrace | null {
    const parent = readTraceParent(headers.get("traceparent"));
    if (!(parent?.isSampled ?? Math.random() < this.#ratio)) return null;
    const trace = new Trace(parent?.traceId ?? newTraceId(), {
      parent,
      originMs: this.#origin(),
      ended: (ended) => this.#exporter.add(ended),
    });
    return new CallTrace(trace, { scheme: this.#scheme, system: this.#system });
  }

  /** Sends what is there, for so long at most. */
  stop(ms: number): Promise<void> {
    return this.#exporter.stop(ms);
  }

  #origin(): number {
    const now = Date.now() - performance.now();
    if (Math.abs(now - this.#originMs) > CLOCK_JUMP_MS) this.#originMs = now;
    return this.#originMs;
  }
}

export class CallTrace {
  readonly #trace: Trace;
  readonly #scheme: string;
  readonly #database: SpanAttributes;
  #context: CommandContext | null = null;

  constructor(trace: Trace, { scheme, system }: { scheme: string; system: string }) {
    this.#trace = trace;
    this.#scheme = scheme;
    // Collectors of before 2025 look for the second name.
    this.#database = { "db.system.name": system, "db.system": system };
  }

  get id(): string {
    return this.#trace.id;
  }

  /** @param context of the call: always the same one. */
  context(context: CommandContext): CommandContext {
    this.#context ??= tracedContext(context, (operation, kind, attributes) =>
      this.#trace.begin(kind === null ? operation : `${operation} ${kind}`, {
        ...this.#database,
        "db.operation.name": operation,
        "db.collection.name": kind ?? undefined,
        ...attributes,
      }),
    );
    return this.#context;
  }

  /** The head of the answer is there. The span ends with the last byte. */
  answered(call: TracedCall, status: number): void {
    const { request, path, what, caller, requestId, held } = call;
    const isKnown = what !== "other";
    const attributes = {
      "http.request.method": request.method,
      "url.scheme": this.#scheme,
      "url.path": path.slice(0, PATH_CHARACTERS_MAX).toWellFormed(),
      "http.route": isKnown ? routeOf(call) : undefined,
      "http.response.status_code": status,
      "error.type": status >= 500 ? String(status) : undefined,
      "stock_db.command": isKnown && !what.startsWith("/") ? what : undefined,
      "enduser.id": caller.hash === null ? undefined : caller.name,
      "stock_db.request_id": requestId === this.id ? undefined : (requestId ?? undefined),
    };
    const name = isKnown ? `${request.method} ${what}` : request.method;
    const end = (): void => this.#trace.end({ name, attributes, hasFailed: status >= 500 });
    if (held === null) end();
    else held.whenOver(end);
  }
}

/** Commands have paths without anything that varies. */
function routeOf({ what, path }: TracedCall): string {
  return what.startsWith("/") ? what : path;
}

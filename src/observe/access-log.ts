import type { AccessLog } from "../config/settings.ts";
import type { Logger } from "./log.ts";
import { escapeControls } from "./log-line.ts";

/** One answered request. */
export interface Access {
  clientAddress: string;
  method: string;
  /** Decides the level. */
  path: string;
  /** Path and query as sent. */
  target: string;
  status: number;
  /** Of the answer's body. */
  bytes: number;
  durationMs: number;
  userAgent: string | null;
  /** Null: the client gave none. */
  requestId: string | null;
  /** Null: it isn't traced, or the id is that of its trace. */
  traceId: string | null;
}

export interface AccessLogger {
  /** Whether `write` would log such a request. Cheap: ask before making an `Access`. */
  wants(status: number, path: string): boolean;
  write(access: Access): void;
}

/** Probes come every few seconds from several sides. At INFO they would bury everything else. */
const PROBES = new Set(["/health", "/healthz", "/ready", "/live"]);

const TARGET_CHARS_MAX = 1024;
const USER_AGENT_CHARS_MAX = 256;

/** Logs answered requests at INFO: all (on), those from status 400 on (errors), or none (off). */
export function createAccessLogger(mode: AccessLog, logger: Logger): AccessLogger {
  const atInfo = mode !== "off" && logger.logs("INFO");
  const atDebug = mode !== "off" && logger.logs("DEBUG");
  const lowestStatus = mode === "errors" ? 400 : 0;
  const wants = (status: number, path: string): boolean =>
    atInfo && status >= lowestStatus && (atDebug || !PROBES.has(path));
  return {
    wants,
    write(access) {
      if (!wants(access.status, access.path)) return;
      if (PROBES.has(access.path)) logger.debug(formatAccess(access));
      else logger.info(formatAccess(access));
    },
  };
}

/** `127.0.0.1 - "GET /nope?x=1 HTTP/1.1" 404 273B 0ms "user-agent"`. */
export function formatAccess(access: Access): string {
  const request = `${access.method} ${field(access.target, TARGET_CHARS_MAX)} HTTP/1.1`;
  const agent = field(access.userAgent ?? "Unknown", USER_AGENT_CHARS_MAX);
  const size = formatSize(access.bytes);
  const id = access.requestId === null ? "" : ` id=${access.requestId}`;
  const trace = access.traceId === null ? "" : ` trace=${access.traceId}`;
  return `${access.clientAddress} - "${request}" ${access.status} ${size} ${Math.round(access.durationMs)}ms "${agent}"${id}${trace}`;
}

/** Text of a client, made unable to end its quotes early. */
function field(text: string, charsMax: number): string {
  const shown = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return escapeControls(shown.replace(/["\\]/g, "\\$&"));
}

function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)}KB`;
  return `${(bytes / (1024 * 1024)).toFixed(1)}MB`;
}

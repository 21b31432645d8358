/**
 * Tells systemd how the server is, if systemd started it. NOTIFY_SOCKET is a datagram Unix socket,
 * which neither Bun nor Node can send to, so this calls libc. Without it, and elsewhere than on
 * Linux, calls do nothing.
 */
import { dlopen, ptr } from "bun:ffi";

const LIBC_NAMES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  "libc.so",
];

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
const SUN_PATH_BYTES = 108;
/** A full queue at systemd holds up the event loop no longer than this. */
const SEND_TIMEOUT_US = 200_000n;

const WATCHDOG_INTERVAL_MS_MAX = 1_000;

export type Env = Record<string, string | undefined>;

export interface Notifier {
  readonly enabled: boolean;
  /**
   * How often to call `watchdog`; null without one. At most half of the unit's WatchdogSec, and
   * often: after a bad moment, the server then has the most time to recover.
   */
  readonly watchdogIntervalMs: number | null;
  ready(status?: string): void;
  stopping(): void;
  /** Must be followed by `ready`. */
  reloading(): void;
  watchdog(): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
}

/** Variables for one process. A child that inherits them would speak for its parent. */
export const NOTIFY_ENV = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const;

/** @param warn Called once if notices can't be sent; the server runs on. */
export function createNotifier(env: Env, warn: (message: string) => void): Notifier {
  const target = env.NOTIFY_SOCKET;
  const sender = target === undefined || target === "" ? null : openSender(target, warn);
  const send = (...lines: string[]) => sender?.send(lines.join("\n"));
  return {
    enabled: sender !== null,
    watchdogIntervalMs: sender === null ? null : watchdogIntervalMs(env),
    ready: (status) => send("READY=1", ...(status === undefined ? [] : [`STATUS=${status}`])),
    stopping: () => send("STOPPING=1", "STATUS=Stopping"),
    reloading: () => send("RELOADING=1", `MONOTONIC_USEC=${sender?.monotonicUs()}`, "STATUS=Reloading"),
    watchdog: () => send("WATCHDOG=1"),
    status: (text) => send(`STATUS=${text}`),
  };
}

function watchdogIntervalMs(env: Env): number | null {
  const us = Number(env.WATCHDOG_USEC);
  if (!Number.isFinite(us) || us <= 0) return null;
  const pid = env.WATCHDOG_PID;
  // The unit may start the launcher, our parent.
  const meant = pid === undefined || pid === "" || [process.pid, process.ppid].includes(Number(pid));
  return meant ? Math.min(WATCHDOG_INTERVAL_MS_MAX, Math.max(1, us / 2_000)) : null;
}

interface Sender {
  send(text: string): void;
  monotonicUs(): bigint;
}

function openSender(target: string, warn: (message: string) => void): Sender | null {
  const address = socketAddress(target);
  if (address === null) {
    warn(
      `systemd is not told: NOTIFY_SOCKET=${target} is neither a path nor @name of at most ${SUN_PATH_BYTES - 1} bytes`,
    );
    return null;
  }
  const libc = loadLibc();
  if (libc === null) {
    warn(`systemd is not told: none of ${LIBC_NAMES.join(", ")} can be loaded`);
    return null;
  }
  let warned = false;
  return {
    send(text) {
      if (sendDatagram(libc, address, Buffer.from(text)) || warned) return;
      warned = true;
      warn(`systemd is not told: sending to NOTIFY_SOCKET=${target} failed`);
    },
    monotonicUs: () => monotonicUs(libc),
  };
}

type Libc = ReturnType<typeof openLibc>;

function openLibc(name: string) {
  return dlopen(name, {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  }).symbols;
}

function loadLibc(): Libc | null {
  for (const name of LIBC_NAMES) {
    try {
      return openLibc(name);
    } catch (error) {
      if (!(error instanceof Error)) throw error; // a missing library: the next name
    }
  }
  return null;
}

/** A `sockaddr_un` of its used length; null for a name that systemd can't have meant. */
function socketAddress(target: string): Uint8Array | null {
  const abstract = target.startsWith("@");
  const name = Buffer.from(abstract ? `\0${target.slice(1)}` : target);
  if (!(abstract || target.startsWith("/")) || name.length >= SUN_PATH_BYTES) return null;
  const address = new Uint8Array(2 + name.length + (abstract ? 0 : 1));
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}

function sendDatagram(libc: Libc, address: Uint8Array, payload: Buffer): boolean {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeout = new BigInt64Array([0n, SEND_TIMEOUT_US]);
  libc.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, ptr(timeout), timeout.byteLength);
  const sent = libc.sendto(fd, ptr(payload), payload.length, MSG_NOSIGNAL, ptr(address), address.length);
  libc.close(fd);
  return Number(sent) === payload.length;
}

/** systemd compares this with its clock. In Bun, `process.hrtime` starts with the process. */
function monotonicUs(libc: Libc): bigint {
  const time = new BigInt64Array(2);
  libc.clock_gettime(CLOCK_MONOTONIC, ptr(time));
  return time[0]! * 1_000_000n + time[1]! / 1_000n;
}

/**
 * The receiving end of systemd's NOTIFY_SOCKET, through libc as Bun has no datagram Unix sockets.
 */
import { dlopen, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const NOTICE_BYTES_MAX = 4_096;

export interface NotifySocket extends Disposable {
  /** Takes the notices that have arrived since the last call. */
  receive(): string[];
}

/** @param path A file that does not exist yet, or `@name`. */
export function openNotifySocket(path: string): NotifySocket {
  const libc = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  const address = Buffer.concat([new Uint8Array([AF_UNIX, 0]), name]);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (libc.bind(fd, ptr(address), address.length) !== 0) throw new Error(`can't bind ${path}`);
  const notice = Buffer.alloc(NOTICE_BYTES_MAX);
  return {
    receive() {
      const notices: string[] = [];
      for (;;) {
        const bytes = Number(libc.recv(fd, ptr(notice), notice.length, MSG_DONTWAIT));
        if (bytes < 0) return notices;
        notices.push(notice.toString("utf8", 0, bytes));
      }
    },
    [Symbol.dispose]() {
      libc.close(fd);
    },
  };
}

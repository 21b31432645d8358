import { readFileSync } from "node:fs";
import { usableCpus } from "../../config/control-groups.ts";
import { DESCRIPTORS_ENOUGH, descriptorLimit } from "../../observe/descriptors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { type Finding, fail, ok, warning } from "../../storage/diagnosis.ts";
import { createRuntimeDir, RuntimeDirError } from "../../supervisor/runtime-dir.ts";
import { measureReusePort } from "./reuse-port.ts";

const BUN_VERSION_MIN = "1.4.5";
/** A worker needs one per client and some dozens for itself. */
const DESCRIPTORS_MIN = 256;
/** The server asks for this. The kernel silently takes less. */
const LISTEN_BACKLOG = 512;
/** Older than the first version of this server, so a correct clock shows a later time. */
const CLOCK_MIN_MS = Date.UTC(2025, 0, 1);
/** The end of storable stamps. */
const CLOCK_MAX_MS = Date.UTC(2262, 0, 1);

export async function* diagnoseMachine(): AsyncGenerator<Finding> {
  yield diagnoseBun();
  yield diagnoseClock();
  yield diagnoseCpus();
  yield diagnoseDescriptors();
  yield await diagnoseRuntimeFolder();
  yield await diagnoseReusePort();
  if (process.platform !== "linux") return;
  yield diagnoseMigration();
  yield diagnoseBacklog();
}

function diagnoseBun(): Finding {
  const subject = "Bun";
  if (Bun.semver.satisfies(Bun.version, `>=${BUN_VERSION_MIN}`)) return ok(subject, Bun.version);
  return fail(
    subject,
    `${Bun.version}, older than ${BUN_VERSION_MIN}`,
    "start the server with npx stock-db-server, or npm start, which bring their own",
  );
}

function diagnoseClock(): Finding {
  const subject = "clock";
  const now = Date.now();
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const finding = `${new Date(now).toISOString()}; the zone, ${zone}, doesn't matter to the server`;
  if (now > CLOCK_MIN_MS && now < CLOCK_MAX_MS) return ok(subject, finding);
  return fail(subject, finding, "set the clock, best with NTP: rows and logs carry its time");
}

function diagnoseCpus(): Finding {
  const cpus = usableCpus();
  const workers =
    cpus === 1 ? "one process is right: --workers 1" : `--workers 0 starts ${cpus} worker processes`;
  return ok("CPUs", `${cpus} usable; ${workers}`);
}

function diagnoseDescriptors(): Finding {
  const subject = "file descriptors";
  const limit = descriptorLimit();
  if (limit === null) return ok(subject, "their limit can't be seen on this system; ulimit -n tells");
  const finding = `${limit.toLocaleString("en-US")} for each process`;
  const advice = `allow more, as each client takes one: LimitNOFILE=65536 for systemd, ulimit -n 65536 in a shell`;
  if (limit < DESCRIPTORS_MIN) return fail(subject, finding, advice);
  if (limit < DESCRIPTORS_ENOUGH) return warning(subject, finding, advice);
  return ok(subject, finding);
}

async function diagnoseRuntimeFolder(): Promise<Finding> {
  const subject = "runtime folder";
  try {
    const folder = await createRuntimeDir();
    folder.remove();
    const [passedOver] = folder.passedOver;
    if (passedOver !== undefined) {
      const advice = `set the sticky bit of that folder, or don't name it in XDG_RUNTIME_DIR`;
      return warning(subject, passedOver, advice);
    }
    return ok(subject, `${folder.path.replace(/\/[^/]*$/, "")} can hold the server's sockets`);
  } catch (error) {
    if (!(error instanceof RuntimeDirError)) throw error;
    const advice = "set TMPDIR to a folder with a short path that the server may write to";
    return fail(subject, error.message, advice);
  }
}

async function diagnoseReusePort(): Promise<Finding> {
  const subject = "SO_REUSEPORT";
  const advice = "start with --workers 1, the default: further worker processes would get no clients";
  try {
    const { shares, even } = await measureReusePort();
    const finding = `of ${shares[0] + shares[1]} connections one listener got ${shares[0]}, the other ${shares[1]}`;
    return even ? ok(subject, finding) : warning(subject, finding, advice);
  } catch (error) {
    const reason = messageOf(error);
    return warning(subject, `two processes can't share a port here: ${reason}`, advice);
  }
}

function diagnoseMigration(): Finding {
  const subject = "tcp_migrate_req";
  const value = readSystemFile("/proc/sys/net/ipv4/tcp_migrate_req")?.trim();
  if (value === "1") return ok(subject, "on");
  return warning(
    subject,
    value === undefined ? "this kernel, or this container, doesn't show it" : "off",
    "sysctl -w net.ipv4.tcp_migrate_req=1 (Linux 5.14): else a rolling restart resets a connection now and then",
  );
}

function diagnoseBacklog(): Finding {
  const subject = "somaxconn";
  const value = Number(readSystemFile("/proc/sys/net/core/somaxconn")?.trim() ?? Number.NaN);
  if (Number.isNaN(value)) return ok(subject, "can't be seen here");
  const finding = `${value} connections may wait to be accepted`;
  if (value >= LISTEN_BACKLOG) return ok(subject, finding);
  const advice = `sysctl -w net.core.somaxconn=${LISTEN_BACKLOG}: else clients that connect at one moment may have to try again`;
  return warning(subject, finding, advice);
}

/** @returns null where the system lacks the file. */
function readSystemFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}

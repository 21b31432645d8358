/** `doctor` on the folder of a database file: its access rights, free space and kind of disk. */
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type Finding, fail, ok, warning } from "./diagnosis.ts";
import { DiskSpace } from "./disk-space.ts";
import { formatBytes } from "./format-bytes.ts";

const FREE_BYTES_LOW = 1024 * 1024 * 1024;

/** Numbers of statfs(2). */
const NETWORK: Record<number, string> = {
  26985: "NFS",
  20859: "SMB",
  4283649346: "CIFS",
  4266872130: "SMB",
  16914839: "9P",
  12805120: "Ceph",
  1397113167: "AFS",
  198183888: "Lustre",
  1196443219: "GPFS",
};
const NETWORK_DAMAGE = "locks and shared memory over a network can damage a database";
const FUSE = 0x65735546;
/** A restart of the machine, or of the container, removes their files. */
const PASSING: Record<number, string> = {
  16914836: "tmpfs",
  2240043254: "ramfs",
  2035054128: "overlayfs",
};
const KNOWN: Record<number, string> = {
  61267: "ext4",
  1481003842: "XFS",
  2435016766: "Btrfs",
  801189825: "ZFS",
};

/** @param neededBytes An upgrade is going to write so much; 0: there is none. */
export function* diagnoseFolder(folder: string, neededBytes: number): Generator<Finding> {
  yield diagnoseWritable(folder);
  const { type, bavail, bsize } = statfsSync(folder);
  yield diagnoseSpace(folder, bavail * bsize, neededBytes);
  if (process.platform === "linux") yield diagnoseFileSystem(folder, type >>> 0); // unsigned
}

/** The folder itself, or the nearest one above it that exists. */
export function nearestFolder(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(at) || at === dirname(at)) return at;
  }
}

function diagnoseWritable(folder: string): Finding {
  const subject = "folder";
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return ok(subject, `${folder} can be written to`);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return fail(
      subject,
      `${folder} can't be written to: ${error.code}`,
      "a database makes files beside its own: give the server's user write access to the folder, not only to the file",
    );
  }
}

function diagnoseSpace(folder: string, freeBytes: number, neededBytes: number): Finding {
  const subject = "free space";
  const finding = `${formatBytes(freeBytes)} in ${folder}`;
  const { minFreeBytes } = new DiskSpace(folder, null);
  if (freeBytes < minFreeBytes) {
    const advice = `make room: saves are refused below ${formatBytes(minFreeBytes)}, unless --min-free-mb says otherwise`;
    return fail(subject, finding, advice);
  }
  if (freeBytes < neededBytes) {
    const advice = `make room for ${formatBytes(neededBytes)}, which the upgrade of the file may take`;
    return warning(subject, finding, advice);
  }
  return freeBytes < FREE_BYTES_LOW ? warning(subject, finding, "make room soon") : ok(subject, finding);
}

function diagnoseFileSystem(folder: string, type: number): Finding {
  const subject = "file system";
  const network = NETWORK[type];
  if (network !== undefined) {
    const advice = `put the file on a local disk: ${NETWORK_DAMAGE}`;
    return warning(subject, `${folder} is on ${network}, over a network`, advice);
  }
  if (type === FUSE) {
    const advice = `make sure that it is a local disk: ${NETWORK_DAMAGE}`;
    return warning(subject, `${folder} is on a FUSE file system`, advice);
  }
  const passing = PASSING[type];
  if (passing !== undefined) {
    const advice =
      "put the file on a disk or a volume, unless it may be gone after a restart of the machine or container";
    return warning(subject, `${folder} is on ${passing}`, advice);
  }
  return ok(subject, KNOWN[type] ?? `local, of type 0x${type.toString(16)}`);
}

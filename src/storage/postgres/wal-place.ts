/**
 * How far a database is in the log of its cluster (WAL): DESIGN.md, "Replicas", says what follows
 * from it.
 */
import type { PostgresConnection } from "./connection.ts";

/** The longest header of a page: a place within it is that of the page's begin. */
const HEADER_BYTES_MAX = 40n;

/** Clusters that are copies have one identifier, and their databases one oid. */
const CLUSTER_SQL = `((SELECT system_identifier FROM pg_control_system())::text || '/' ||
  (SELECT oid FROM pg_database WHERE datname = current_database())::text)`;
const bytesOf = (lsn: string): string => `(${lsn} - '0/0'::pg_lsn)::text`;
/** A function of a primary fails on a standby, so none is called there. */
const onPrimary = (value: string): string => `CASE WHEN NOT pg_is_in_recovery() THEN ${value} END`;

const PRIMARY_SQL = `SELECT ${CLUSTER_SQL} AS cluster, current_setting('wal_block_size') AS block,
  current_setting('synchronous_commit') AS sync,
  ${onPrimary("pg_catalog.substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")} AS timeline,
  ${onPrimary(bytesOf("pg_current_wal_flush_lsn()"))} AS flushed,
  ${onPrimary(bytesOf("pg_current_wal_insert_lsn()"))} AS inserted`;

/**
 * The receiver tells its timeline only to members of pg_read_all_stats. What the control file says
 * comes later, with a restart point.
 */
const REPLICA_SQL = `SELECT ${CLUSTER_SQL} AS cluster, pg_is_in_recovery() AS standby,
  pg_catalog.lpad(pg_catalog.upper(pg_catalog.to_hex(coalesce(
    (SELECT received_tli FROM pg_stat_wal_receiver),
    (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
      FROM pg_control_checkpoint() c, pg_control_recovery() r)))), 8, '0') AS timeline,
  ${bytesOf("pg_last_wal_replay_lsn()")} AS replayed,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused`;

export interface PrimaryPlace {
  cluster: string;
  /** As names of WAL files begin. */
  timeline: string;
  /** Whatever had been committed, and could be seen, lies before it. */
  lsn: bigint;
  /** Something before it may be in memory only, which no replica gets. */
  isUnflushed: boolean;
  /** By `performance.now()`, before the question. */
  askedAtMs: number;
}

export interface ReplicaPlace {
  cluster: string;
  timeline: string;
  standby: boolean;
  /** Null: it has never replayed anything. */
  lsn: bigint | null;
  paused: boolean;
}

/**
 * @param isAsync commits of this server may be seen before they are on the disk.
 * @returns null: it is no primary.
 */
export async function placeOfPrimary(
  connection: PostgresConnection,
  isAsync: boolean,
): Promise<PrimaryPlace | null> {
  const askedAtMs = performance.now();
  const [row] = await connection.run<PrimaryRow>(PRIMARY_SQL);
  const { cluster, block, sync, timeline, flushed, inserted } = row!;
  if (timeline === null || flushed === null || inserted === null) return null;
  const [onDisk, inMemory] = [flushed, inserted].map((lsn) => withoutHeader(BigInt(lsn), BigInt(block)));
  // A commit that waits for the disk is seen only when it is there. What an open transaction has
  // written may stay in memory for long.
  const lsn = isAsync || sync === "off" ? inMemory! : onDisk!;
  return { cluster, timeline, lsn, isUnflushed: inMemory! > onDisk!, askedAtMs };
}

interface PrimaryRow {
  cluster: string;
  block: string;
  sync: string;
  timeline: string | null;
  flushed: string | null;
  inserted: string | null;
}

export async function placeOfReplica(connection: PostgresConnection): Promise<ReplicaPlace> {
  const [row] = await connection.run<Omit<ReplicaPlace, "lsn"> & { replayed: string | null }>(REPLICA_SQL);
  const { replayed, ...place } = row!;
  return { ...place, lsn: replayed === null ? null : BigInt(replayed) };
}

/** @returns why it can't stand in for the primary, however far it is; null: it can. */
export function unfitness(replica: ReplicaPlace, primary: PrimaryPlace): string | null {
  if (replica.cluster !== primary.cluster) return "it is of another cluster or database than the primary";
  if (!replica.standby) return "it is no replica any more: it takes writes";
  if (replica.timeline !== primary.timeline)
    return `it is on timeline ${replica.timeline}, the primary on ${primary.timeline}`;
  return null;
}

export function isLevel({ lsn }: ReplicaPlace, primary: PrimaryPlace): boolean {
  return lsn !== null && lsn >= primary.lsn;
}

/**
 * Where the last record ends at the end of a page, the next one would begin behind a header. No
 * record is so short that it could end within a header and begin there too.
 */
function withoutHeader(lsn: bigint, block: bigint): bigint {
  const inPage = lsn % block;
  return inPage <= HEADER_BYTES_MAX ? lsn - inPage : lsn;
}

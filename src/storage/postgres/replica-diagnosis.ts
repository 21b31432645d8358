/** What `doctor` says of a replica. */
import { type Finding, fail, ok, warning } from "../diagnosis.ts";
import type { PostgresConnection } from "./connection.ts";
import { connectForReading } from "./open.ts";
import { adviceOnOpening } from "./opening-advice.ts";
import { POOLED, replicaName } from "./replicas.ts";
import { isLevel, placeOfPrimary, placeOfReplica, unfitness } from "./wal-place.ts";

/** A replica that is well is level by then. */
const LEVEL_WAIT_MS = 3_000;
const LOOK_PAUSE_MS = 50;

/** @param primary which it should be a replica of. */
export async function* diagnoseReplica(url: string, primary: PostgresConnection): AsyncGenerator<Finding> {
  const subject = `replica ${replicaName(url)}`;
  try {
    const { connection, options } = await connectForReading(url);
    try {
      if (options.pooled) yield fail(subject, POOLED, "name the replica itself in --read-replicas");
      else yield* diagnose(subject, connection, primary);
    } finally {
      await connection.close();
    }
  } catch (error) {
    const told = await adviceOnOpening(error, url);
    if (told === null) throw error;
    yield fail(subject, told.finding, told.advice);
  }
}

async function* diagnose(
  subject: string,
  connection: PostgresConnection,
  primary: PostgresConnection,
): AsyncGenerator<Finding> {
  const aim = await placeOfPrimary(primary, false);
  if (aim === null) {
    yield fail(subject, "the database of --db-file is no primary", "name the primary in --db-file");
    return;
  }
  const endMs = performance.now() + LEVEL_WAIT_MS;
  let place = await placeOfReplica(connection);
  while (!isLevel(place, aim) && !place.paused && performance.now() < endMs) {
    await Bun.sleep(LOOK_PAUSE_MS);
    place = await placeOfReplica(connection);
  }
  const unfit = unfitness(place, aim);
  if (unfit !== null) yield fail(subject, unfit, "name a streaming replica of the primary, or leave it out");
  else if (place.paused)
    yield warning(subject, "its replay is paused", "SELECT pg_wal_replay_resume() there");
  else if (isLevel(place, aim)) yield ok(subject, "it is level with the primary");
  else {
    const bytes = aim.lsn - (place.lsn ?? 0n);
    yield warning(
      subject,
      `it is ${bytes} bytes behind the primary, and was not level within ${LEVEL_WAIT_MS / 1_000} s`,
      "look at pg_stat_replication on the primary, and at what long reads hold up the replay",
    );
  }
  const [row] = await connection.run<{ feedback: string }>(
    "SELECT current_setting('hot_standby_feedback') AS feedback",
  );
  if (row?.feedback !== "on")
    yield warning(
      subject,
      "hot_standby_feedback is off: a VACUUM of the primary ends long reads there, or holds up the replay",
      "ALTER SYSTEM SET hot_standby_feedback = on, and SELECT pg_reload_conf() there",
    );
}

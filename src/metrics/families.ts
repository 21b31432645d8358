/** Every metric of `/metrics`, declared once: docs/metrics.md lists them, and a test compares. */

type MetricType = "counter" | "gauge" | "histogram";

interface MetricFamily {
  help: string;
  type: MetricType;
  /** How the values of several processes become one. */
  together: "sum" | "max";
}

/** Of which every worker tells the whole. */
const wholeCounter = (help: string): MetricFamily => ({ help, type: "counter", together: "max" });
const counter = (help: string): MetricFamily => ({ help, type: "counter", together: "sum" });
const histogram = (help: string): MetricFamily => ({ help, type: "histogram", together: "sum" });
const gauge = (help: string, together: "sum" | "max" = "sum"): MetricFamily => ({
  help,
  type: "gauge",
  together,
});

export const FAMILIES = {
  stock_db_info: gauge("Version of the server and its engine; the value is 1.", "max"),
  stock_db_workers: gauge("Workers that have told their figures within 10 s."),
  stock_db_requests_total: counter("Requests that were answered, by command or path and by status."),
  stock_db_request_seconds: histogram("Time from a request to the head of its answer, by command or path."),
  stock_db_key_requests_total: counter("Requests by the name of the key and the class of the status."),
  stock_db_saves_total: counter("Saves that were answered with success."),
  stock_db_saved_rows_total: counter("Rows of these saves."),
  stock_db_sent_rows_total: counter("Rows that were read for answers, and updates that were sent, by door."),
  stock_db_received_bytes_total: counter("Bytes of bodies and messages that came, by door."),
  stock_db_sent_bytes_total: counter("Bytes of bodies, events and frames that were sent, by door."),
  stock_db_sql_runs_total: counter("Statements of users that were run."),
  stock_db_sql_timeouts_total: counter("Those that were stopped at --sql-timeout."),
  stock_db_frames_total: counter(
    "Frames that were published; one for all subscribers of a ticker counts once.",
  ),
  stock_db_messages_total: counter("Messages from WebSocket clients."),
  stock_db_subscribers_cut_off_total: counter("Clients that were closed because they didn't read."),
  stock_db_updates_folded_total: counter("Updates that a newer one stood for, as their client read slowly."),
  stock_db_gaps_total: counter(
    "Gaps that were told: to one client that read slowly, or to all, as content was not kept.",
  ),
  stock_db_subscribers: gauge(
    "WebSockets and streams of events that are open, by what becomes of slow ones.",
  ),
  stock_db_subscriber_queue: gauge("Updates that wait for clients that read slowly."),
  stock_db_subscriber_queue_bytes: gauge(
    "Bytes that wait for clients, those in buffers of sockets included.",
  ),
  stock_db_subscriber_lag_seconds: gauge(
    "How long the next update has waited, of the client most behind.",
    "max",
  ),
  stock_db_replays: gauge("Replays that are open."),
  stock_db_subscriptions: gauge("Subscriptions of all clients, each ticker of each being one."),
  stock_db_watched_tickers: gauge("Tickers that somebody watches, by worker, added up."),
  stock_db_feeds: gauge("Feeds that are known: tickers and types of which rows were saved.", "max"),
  stock_db_feeds_stale: gauge("Feeds that are stale now, by type.", "max"),
  stock_db_feed_stale_total: wholeCounter("How often feeds of a type have become stale."),
  stock_db_feed_age_seconds: gauge("Since rows of a type came last, of any ticker.", "max"),
  stock_db_feed_ticker_age_seconds: gauge("Since rows of a ticker and type came last.", "max"),
  stock_db_live_bars: gauge("Series of live bars that somebody watches."),
  stock_db_waiting_bytes: gauge("Bytes that wait for clients that read slowly."),
  stock_db_requests_under_way: gauge("Requests that are not answered yet."),
  stock_db_body_bytes: gauge("Bytes of request bodies that are held."),
  stock_db_hub_saves_bytes: gauge("Bytes of saves that wait for the hub."),
  stock_db_commit_queue: gauge("Saves that wait for a transaction."),
  stock_db_commit_seconds: histogram("Time of a transaction of saves."),
  stock_db_commit_saves: histogram("Saves of a transaction."),
  stock_db_updates_total: counter("Saves that became updates, each with the next position of its ticker."),
  stock_db_newest_update_seconds: gauge("When the newest of them was committed, since 1970.", "max"),
  stock_db_update_log_bytes: gauge("Bytes of the update log, roughly.", "max"),
  stock_db_update_log_limit_bytes: gauge("--update-log-mb.", "max"),
  stock_db_pool_connections: gauge("Connections to the database that are at work or available."),
  stock_db_replica_left_out: gauge("1 while a worker sends no reads to the replica.", "max"),
  stock_db_replica_lag_seconds: gauge(
    "Since when the replica has lacked something that the primary has.",
    "max",
  ),
  stock_db_replica_reads_total: counter("Reads that the replica was level for."),
  stock_db_replica_reads_by_primary_total: counter(
    "Large reads that went to the primary, as no replica was there and level.",
  ),
  stock_db_sql_runners: gauge("SQL runners that are at work or idle."),
  stock_db_sql_runners_killed_total: counter(
    "SQL runners that were killed, at a limit or as the client left.",
  ),
  stock_db_sql_running: gauge("Statements of users that run, in all workers.", "max"),
  stock_db_sql_waiting: gauge("Statements of users that wait for their turn."),
  stock_db_spans_dropped_total: counter("Spans of traces that the collector hasn't got."),
  stock_db_starts_total: counter("Hubs and workers that have started: more than there are were restarted."),
  stock_db_hub_lag_seconds: gauge("How long the hub takes to answer a worker.", "max"),
  stock_db_hub_connected: gauge("Workers that are connected to the hub."),
  stock_db_condition: gauge("1 while a condition of /ready holds that refuses work.", "max"),
  stock_db_event_loop_delay_seconds: gauge("Longest delay of an event loop within a second.", "max"),
  stock_db_resident_bytes: gauge("Resident memory of all processes of a role together.", "max"),
  stock_db_memory_limit_bytes: gauge("--memory-mb.", "max"),
  stock_db_database_bytes: gauge("Size of the database on disk, where it tells.", "max"),
  stock_db_disk_free_bytes: gauge("Free space on the disk of the database's file.", "max"),
  stock_db_last_backup_timestamp_seconds: gauge("When the newest backup was taken, since 1970.", "max"),
  stock_db_backup_failed: gauge("1 while the newest backup that was tried has failed.", "max"),
  stock_db_start_time_seconds: gauge("When the newest worker has started, since 1970.", "max"),
} as const satisfies Record<string, MetricFamily>;

export type FamilyName = keyof typeof FAMILIES;

export function familyOf(name: string): MetricFamily | undefined {
  return Object.hasOwn(FAMILIES, name) ? FAMILIES[name as FamilyName] : undefined;
}

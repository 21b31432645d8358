/** Every metric of `/metrics`, declared once: docs/metrics.md lists them, and a test compares. */

type MetricType = "counter" | "gauge" | "histogram";

interface MetricFamily {
  help: string;
  type: MetricType;
  /** How the values of several processes become one. */
  together: "sum" | "max";
}

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
  stock_db_sql_runs_total: counter("Statements of users that were run."),
  stock_db_sql_timeouts_total: counter("Those that were stopped at --sql-timeout."),
  stock_db_frames_total: counter(
    "Frames that were published; one for all subscribers of a ticker counts once.",
  ),
  stock_db_messages_total: counter("Messages from WebSocket clients."),
  stock_db_subscribers_cut_off_total: counter("Clients that were closed because they didn't read."),
  stock_db_subscribers: gauge("WebSockets and streams of events that are open."),
  stock_db_replays: gauge("Replays that are open."),
  stock_db_subscriptions: gauge("Subscriptions of all clients, each ticker of each being one."),
  stock_db_watched_tickers: gauge("Tickers that somebody watches, by worker, added up."),
  stock_db_live_bars: gauge("Series of live bars that somebody watches."),
  stock_db_waiting_bytes: gauge("Bytes that wait for clients that read slowly."),
  stock_db_requests_under_way: gauge("Requests that are not answered yet."),
  stock_db_body_bytes: gauge("Bytes of request bodies that are held."),
  stock_db_hub_saves_bytes: gauge("Bytes of saves that wait for the hub."),
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

/** Every setting, declared once. (Filled by its owner.) */
export type LogLevel = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL";
export type AccessLog = "on" | "errors" | "off";
export type Durability = "full" | "normal";

export interface Settings {
  /** As given: a path, or a connection string that may hold a password: never log it unredacted. */
  dbFile: string;
  host: string;
  port: number;
  /** Further names accepted in `Host` and `Origin`. */
  allowHosts: string[];
  logFile: string | null;
  logLevel: LogLevel;
  accessLog: AccessLog;
  heartbeatIntervalS: number;
  maxBodyMb: number;
  /** 1 … ; 0 has been replaced by the number of usable CPUs. */
  workers: number;
  workerRestartTimeoutS: number;
  /** A worker that doesn't answer the supervisor for this long is replaced. */
  livenessTimeoutS: number;
  dbPoolSize: number;
  sqlTimeoutS: number;
  sqlMaxRows: number;
  durability: Durability;
  /** Load the sample into an empty database. */
  sample: boolean;
}

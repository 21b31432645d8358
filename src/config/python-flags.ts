/**
 * Flags of the older Python server that a start script may still carry. They are accepted so that
 * the script goes on working; what they steered doesn't exist here.
 */
export const IGNORED_FLAGS: Readonly<Record<string, { takesValue: boolean }>> = {
  "--stale-data-timeout": { takesValue: true },
  "--cache-backends": { takesValue: true },
  "--cache-dir": { takesValue: true },
  "--startup-delay": { takesValue: true },
  "--child-stagger-ms": { takesValue: true },
  "--bind-retries": { takesValue: true },
  "--bind-retry-delay-ms": { takesValue: true },
  "--questdb-connection-timeout": { takesValue: true },
  "--no-cache": { takesValue: false },
};

/** Flags of the Python server with another spelling here. */
export const SYNONYMS: Readonly<Record<string, { flag: string; value: string }>> = {
  "--enable-access-log": { flag: "--access-log", value: "on" },
};

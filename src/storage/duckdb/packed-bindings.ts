/**
 * DuckDB's bindings in the server's one file, where they take the place of the package
 * `@duckdb/node-bindings`. They find DuckDB's library beside them.
 */
import { join } from "node:path";
import { withPackedFiles } from "../../installation/packed-files.ts";

/** @throws Error they can be loaded from no folder. */
export function loadBindings(): unknown {
  return withPackedFiles("duckdb", (folder) => {
    const bindings = { exports: {} };
    try {
      process.dlopen(bindings, join(folder, "duckdb.node"));
    } catch (error) {
      const { message } = error as Error;
      throw /failed to map segment|operation not permitted/i.test(message)
        ? new Error("no program may be run from there: it is mounted noexec", { cause: error })
        : error;
    }
    return bindings.exports;
  });
}

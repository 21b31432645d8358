import { join } from "node:path";

/** The module that every process of the server runs. */
export const MAIN = join(import.meta.dir, "..", "main.ts");

/**
 * Writes the types of the TypeScript client out of the description of /v1, so that both say the
 * same: `bun scripts/write-client-types.ts`. A test compares the file with a running server.
 */
import { join } from "node:path";
import { openApi } from "../src/http/v1/openapi.ts";
import { clientTypes } from "./client-types/client-types.ts";

const PATH = join(import.meta.dir, "../clients/typescript/src/generated/api.ts");

await Bun.write(PATH, await clientTypes(openApi()));

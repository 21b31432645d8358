/** The `data` of a save that comes as an Arrow body. */
import { ArrowError } from "../formats/arrow-error.ts";
import { recordsOf } from "../formats/arrow-rows.ts";
import { badRequest } from "../protocol/errors.ts";
import type { CommandCall } from "./context.ts";

/**
 * The parameters, with the records as `data` if they came as an Arrow body.
 * @throws RequestError 400
 */
export function withRecords({ params, arrow }: Pick<CommandCall, "params" | "arrow">) {
  if (arrow === null) return params;
  try {
    return { ...params, data: recordsOf(arrow) };
  } catch (error) {
    if (error instanceof ArrowError) throw badRequest(`data: ${error.message}`);
    throw error;
  }
}

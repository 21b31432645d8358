/** The Python server's SQLite backend answered "saved" to these and stored nothing. */
import { STATUS } from "../protocol/codes.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import type { Command } from "./context.ts";
import { isMissing } from "./params.ts";

const UNSUPPORTED: Record<string, { needs: string[]; missing: string }> = {
  save_financial_info: {
    needs: ["ticker", "financial_data"],
    missing: "Missing 'ticker' or 'financial_data'",
  },
  get_financial_info: { needs: ["ticker"], missing: "Missing 'ticker'" },
  save_options_data: { needs: ["ticker", "data"], missing: "Missing 'ticker' or 'data'" },
  get_options_data: { needs: ["ticker"], missing: "Missing 'ticker'" },
  get_latest_options_data: { needs: ["ticker"], missing: "Missing 'ticker'" },
  get_option_price_feature: {
    needs: ["ticker", "option_ticker"],
    missing: "Missing 'ticker' or 'option_ticker'",
  },
};

export const unsupportedCommands: Command[] = Object.entries(UNSUPPORTED).map(
  ([name, { needs, missing }]) => ({
    name,
    about: "Not supported: this server stores bars and ticks.",
    params: needs,
    run({ params }) {
      if (needs.some((need) => isMissing(params[need]))) throw badRequest(`${missing} for ${name}`);
      throw new RequestError(
        STATUS.notSupported,
        `${name} is not supported: this server stores bars, quotes and trades; nothing was saved`,
      );
    },
  }),
);

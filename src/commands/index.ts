import type { Command } from "./context.ts";
import { deleteBars, deleteTicks } from "./delete-rows.ts";
import { executeSqlCommand } from "./execute-sql.ts";
import { getCorporateActions } from "./get-corporate-actions.ts";
import { getFinancialInfo } from "./get-financial-info.ts";
import { getNewestRows } from "./get-newest-rows.ts";
import { getPositions } from "./get-positions.ts";
import { getRealtimeData } from "./get-realtime-data.ts";
import { getSnapshot } from "./get-snapshot.ts";
import { getStockData } from "./get-stock-data.ts";
import { getSeries, getTickers, getTickTypes } from "./get-tickers.ts";
import { getUpdates } from "./get-updates.ts";
import { getHistoricalData, getLatestData } from "./newest-ticks.ts";
import {
  getExpirations,
  getLatestOptionsData,
  getOptionChain,
  getOptionHistory,
  getOptionPriceFeature,
  getOptionsData,
} from "./option-chains.ts";
import { getLatestPrice, getLatestPrices, getPreviousClosePrices, getTodayOpeningPrices } from "./prices.ts";
import { QUESTION_COMMANDS } from "./questions/commands.ts";
import { removeCheck } from "./remove-check.ts";
import { renameTicker } from "./rename-ticker.ts";
import { getRollups, removeRollup, setRollup } from "./rollups.ts";
import { saveCorporateActions } from "./save-corporate-actions.ts";
import { saveFinancialInfo } from "./save-financial-info.ts";
import { saveOptionsData } from "./save-options-data.ts";
import { saveRealtimeData } from "./save-realtime-data.ts";
import { saveStockData } from "./save-stock-data.ts";
import { getTodayDailyData, getTodayVolume } from "./today.ts";

export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    getStockData,
    saveStockData,
    saveRealtimeData,
    getRealtimeData,
    getLatestPrice,
    getLatestPrices,
    getPreviousClosePrices,
    getTodayOpeningPrices,
    executeSqlCommand,
    getLatestData,
    getHistoricalData,
    getTodayDailyData,
    getTodayVolume,
    saveCorporateActions,
    getCorporateActions,
    getUpdates,
    getSnapshot,
    getPositions,
    getTickers,
    getTickTypes,
    getSeries,
    removeCheck,
    getNewestRows,
    saveOptionsData,
    getOptionsData,
    getLatestOptionsData,
    getOptionChain,
    getExpirations,
    getOptionPriceFeature,
    getOptionHistory,
    saveFinancialInfo,
    getFinancialInfo,
    deleteTicks,
    deleteBars,
    renameTicker,
    setRollup,
    removeRollup,
    getRollups,
    ...QUESTION_COMMANDS,
  ].map((command) => [command.name, command]),
);

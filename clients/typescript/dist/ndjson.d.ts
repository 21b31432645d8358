/** Rows as lines of JSON, read while they come. */
/** @param alive Is called for each piece that comes. */
export declare function readRows(answer: Response, alive: () => void): Promise<Record<string, unknown>[]>;

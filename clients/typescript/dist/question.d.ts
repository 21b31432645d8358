/** A question to `/v1`: asked when its answer is awaited or iterated. */
import type { Connection } from "./connection.ts";
/** What an answer tells beside its rows. */
export interface Told {
    /** Sentences, such as that a ticker has no rows. */
    warnings: string[];
    /** Of an answer with `limit`: there are more rows. */
    nextPageToken: string | null;
    /** With `withPosition`: up to which update of each ticker the rows are whole. */
    epoch: string | null;
    positions: Record<string, number> | null;
}
export type Rows<Row> = Row[] & Told;
export type Columns<Row> = {
    [Name in keyof Row]: Row[Name][];
};
/** Of a question: what isn't a parameter of the server. */
export interface Asking {
    signal?: AbortSignal;
}
type FileFormat = "arrow" | "parquet" | "csv";
interface Asked<Row> {
    server: Connection;
    path: string;
    parameters: Record<string, unknown>;
    signal: AbortSignal | undefined;
    /** Its answer comes in pages, when it is iterated. */
    hasPages: boolean;
    /** Makes of a row on the wire what a program gets. */
    shape?: (row: Record<string, unknown>) => Row;
}
/**
 * - `await question` gives all rows, of one snapshot of the database. An answer that breaks off is
 *   asked for again as a whole.
 * - `for await (const row of question)` and `question.pages()` hold one page in memory. Each page
 *   is of a snapshot of its own.
 */
export declare class Question<Row> implements PromiseLike<Rows<Row>>, AsyncIterable<Row> {
    #private;
    constructor(about: Asked<Row>);
    then<Done = Rows<Row>, Failed = never>(done?: ((rows: Rows<Row>) => Done | PromiseLike<Done>) | null, failed?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null): Promise<Done | Failed>;
    /** All rows; asked for once, however often it is called. */
    rows(): Promise<Rows<Row>>;
    /** All values by column. At most 500,000 rows. */
    columns(): Promise<Columns<Row>>;
    /**
     * All rows as a table of an Arrow library, which reads the bytes:
     * `question.arrow(tableFromIPC)` with that of `apache-arrow`.
     */
    arrow<Table>(read: (bytes: Uint8Array) => Table): Promise<Table>;
    /** The answer as a file of this format. */
    bytes(format: FileFormat): Promise<Uint8Array>;
    /** @param rows Of a page, at most; up to 100,000. */
    pages(rows?: number): AsyncGenerator<Rows<Row>, void, undefined>;
    [Symbol.asyncIterator](): AsyncGenerator<Row, void, undefined>;
}
/**
 * The parameters of the server, of those of a program.
 * @param symbols one ticker or pattern, or several; none is left out.
 */
export declare function parametersOf(symbols: string | readonly string[] | null, options: object): {
    parameters: Record<string, unknown>;
    signal: AbortSignal | undefined;
};
export declare function snakeCase(name: string): string;
export {};

import type { Kept } from "./tracker.ts";
export interface StateStorage {
    /** null: nothing was kept. */
    read(): Promise<string | null> | string | null;
    write(text: string): Promise<void> | void;
}
/** @param name of a file, or in a browser the key of an entry of `localStorage`. */
export declare function storageOf(name: string | StateStorage): StateStorage;
/** Writes seldom, but always the newest in the end. */
export declare class StateKeeper {
    #private;
    constructor(storage: StateStorage, everyMs: number, kept: () => Kept);
    /** @throws what has kept it from writing. */
    changed(): Promise<void>;
    flush(): Promise<void>;
}
/** @throws StockDBError It isn't what was kept. */
export declare function readKept(storage: StateStorage, name: string): Promise<Kept | null>;

/** Where a stream keeps its positions, so that a program goes on where its last run ended. */
import { StockDBError } from "./errors.js";
/** @param name of a file, or in a browser the key of an entry of `localStorage`. */
export function storageOf(name) {
    if (typeof name !== "string")
        return name;
    const files = fileFunctions();
    if (files !== null)
        return inFile(name, files);
    const { localStorage } = globalThis;
    if (localStorage === undefined)
        throw new StockDBError(`state: got the name ${name}, but this platform has neither files nor localStorage; expected { read, write }`);
    return {
        read: () => localStorage.getItem(name),
        write: (text) => localStorage.setItem(name, text),
    };
}
/** An import of `node:fs` would be in the way of those who build for browsers. */
function fileFunctions() {
    const { process } = globalThis;
    return process?.getBuiltinModule?.("node:fs/promises") ?? null;
}
/** A new file takes the place of the old one, so that none is half written. */
function inFile(path, { readFile, writeFile, rename }) {
    return {
        async read() {
            try {
                return await readFile(path, "utf8");
            }
            catch (error) {
                if (error.code === "ENOENT")
                    return null;
                throw error;
            }
        },
        async write(text) {
            const beside = `${path}.new`;
            await writeFile(beside, text);
            await rename(beside, path);
        },
    };
}
/** Writes seldom, but always the newest in the end. */
export class StateKeeper {
    #storage;
    #everyMs;
    #kept;
    #timer = null;
    #writing = Promise.resolve();
    #error = null;
    #isDue = false;
    constructor(storage, everyMs, kept) {
        this.#storage = storage;
        this.#everyMs = everyMs;
        this.#kept = kept;
    }
    /** @throws what has kept it from writing. */
    async changed() {
        if (this.#error !== null)
            throw this.#error;
        this.#isDue = true;
        if (this.#everyMs === 0)
            return await this.flush();
        this.#timer ??= setTimeout(() => {
            this.flush().catch((error) => {
                this.#error = error;
            });
        }, this.#everyMs);
    }
    async flush() {
        clearTimeout(this.#timer ?? undefined);
        this.#timer = null;
        this.#writing = this.#writing.then(async () => {
            if (!this.#isDue)
                return;
            this.#isDue = false;
            try {
                await this.#storage.write(JSON.stringify(this.#kept()));
            }
            catch (error) {
                throw new StockDBError(`state: it can't be written: ${error.message}`, { cause: error });
            }
        });
        await this.#writing;
    }
}
/** @throws StockDBError It isn't what was kept. */
export async function readKept(storage, name) {
    const text = await storage.read();
    if (text === null || text === "")
        return null;
    try {
        const kept = JSON.parse(text);
        if (typeof kept.positions !== "object" || kept.positions === null)
            throw new Error("it has no positions");
        return kept;
    }
    catch (error) {
        throw new StockDBError(`state ${name}: expected the positions of a stream: ${error.message}`);
    }
}

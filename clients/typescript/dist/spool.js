/** A writer's batches on the disk, so that a feed outlasts the server and its own program's end. */
import { mkdir, open, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StockDBError } from "./errors.js";
const BYTES_MAX = 1_000_000_000;
/** A segment is removed as a whole, once all of it is answered. */
const SEGMENT_BYTES = 16_000_000;
const NAME = /^(\d{8})\.ndjson$/;
const LOCK = "lock";
const LINE_END = 10;
/**
 * @param folder Is made where it isn't there. It belongs to one writer at a time.
 * What is written survives the end of the program; for a power failure it isn't synced.
 */
export function fileSpool(folder, { bytesMax = BYTES_MAX } = {}) {
    return {
        async open() {
            await mkdir(folder, { recursive: true });
            await lock(folder);
            const spool = new FileSpool(folder, bytesMax);
            await spool.load();
            return spool;
        },
    };
}
class FileSpool {
    left = [];
    #folder;
    #bytesMax;
    /** In order of their numbers. */
    #segments = new Map();
    /** Writes come one after the other. */
    #writing = Promise.resolve();
    #waiting = [];
    constructor(folder, bytesMax) {
        this.#folder = folder;
        this.#bytesMax = bytesMax;
    }
    async load() {
        const numbers = (await readdir(this.#folder)).flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
        numbers.sort((a, b) => a - b);
        const done = new Set();
        const found = [];
        for (const number of numbers) {
            const { lines, bytes } = linesOf(await readFile(this.#path(number)));
            for (const { text, offset, length } of lines) {
                const line = JSON.parse(text);
                const place = { segment: number, offset, bytes: length };
                const { path, query, key } = line;
                if (typeof line.done === "string")
                    done.add(line.done);
                else
                    found.push({ path, query, key, rows: line.lines.length, lines: null, place });
            }
            await this.#openSegment(number, bytes);
        }
        this.left.push(...found.filter(({ key }) => !done.has(key)));
        for (const { place } of this.left)
            this.#segments.get(place.segment).open++;
        await this.#rotate(Math.max(0, ...numbers) + 1);
    }
    async append({ path, query, key, lines }, signal) {
        const text = Buffer.from(`${JSON.stringify({ path, query, key, lines })}\n`);
        for (;;) {
            const place = await this.#inTurn(() => this.#appendIfRoom(text));
            if (place !== null)
                return place;
            await this.#change(signal);
        }
    }
    async read({ segment, offset, bytes }) {
        const buffer = Buffer.alloc(bytes);
        await this.#segments.get(segment).file.read(buffer, 0, bytes, offset);
        return JSON.parse(buffer.toString("utf8")).lines;
    }
    /** It is noted in the segment of the batch, which goes when all of it is done. */
    async done({ segment: number }, key) {
        await this.#inTurn(async () => {
            const segment = this.#segments.get(number);
            await this.#write(segment, Buffer.from(`${JSON.stringify({ done: key })}\n`));
            segment.open--;
            if (segment.open === 0 && segment !== this.#newest())
                await this.#remove(segment);
        });
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const wake of waiting)
            wake();
    }
    async close() {
        await this.#inTurn(async () => {
            for (const segment of [...this.#segments.values()])
                if (segment.open === 0)
                    await this.#remove(segment);
                else
                    await segment.file.close();
        });
        await unlock(this.#folder);
    }
    /** null: there is no room. A batch that is larger than the bound has it alone. */
    async #appendIfRoom(text) {
        const newest = this.#newest();
        const isFull = this.#bytes() + text.length > this.#bytesMax;
        if (newest.bytes > 0 && (newest.bytes > SEGMENT_BYTES || (isFull && newest.open === 0)))
            await this.#rotate(newest.number + 1);
        if (this.#bytes() > 0 && this.#bytes() + text.length > this.#bytesMax)
            return null;
        const segment = this.#newest();
        const place = { segment: segment.number, offset: segment.bytes, bytes: text.length - 1 };
        await this.#write(segment, text);
        segment.open++;
        return place;
    }
    /** What comes goes into a new segment; older ones that are done go. */
    async #rotate(number) {
        for (const segment of [...this.#segments.values()])
            if (segment.open === 0)
                await this.#remove(segment);
        await this.#openSegment(number, 0);
    }
    async #openSegment(number, bytes) {
        const file = await open(this.#path(number), "a+", 0o600);
        // What was cut by the end of the process is no line.
        await file.truncate(bytes);
        this.#segments.set(number, { number, file, bytes, open: 0 });
    }
    async #remove({ number, file }) {
        this.#segments.delete(number);
        await file.close();
        await unlink(this.#path(number));
    }
    async #write(segment, text) {
        await segment.file.appendFile(text);
        segment.bytes += text.length;
    }
    #newest() {
        return [...this.#segments.values()].at(-1);
    }
    #bytes() {
        return [...this.#segments.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    }
    #path(number) {
        return join(this.#folder, `${String(number).padStart(8, "0")}.ndjson`);
    }
    #inTurn(work) {
        const turn = this.#writing.then(work, work);
        this.#writing = turn.catch(() => undefined);
        return turn;
    }
    /** @throws the signal's reason */
    #change(signal) {
        return new Promise((resolve, reject) => {
            signal.throwIfAborted();
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
            this.#waiting.push(resolve);
        });
    }
}
/** @returns the whole lines, and where they end. */
function linesOf(bytes) {
    const lines = [];
    let offset = 0;
    for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, offset)) {
        lines.push({ text: bytes.toString("utf8", offset, end), offset, length: end - offset });
        offset = end + 1;
    }
    return { lines, bytes: offset };
}
/** Folders that this process has open. */
const openFolders = new Set();
/** @throws StockDBError Another writer has it. */
async function lock(folder) {
    const path = join(folder, LOCK);
    const holder = Number(await readFile(path, "utf8").catch(() => "0"));
    const isOwn = holder === process.pid;
    if (openFolders.has(path) || (holder > 0 && !isOwn && isAlive(holder)))
        throw new StockDBError(`spool ${folder}: the process ${holder} has it open, expected a folder of its own`);
    await rm(path, { force: true });
    // Of two that start at once, one is refused here.
    await writeFile(path, String(process.pid), { flag: "wx" });
    openFolders.add(path);
}
async function unlock(folder) {
    const path = join(folder, LOCK);
    openFolders.delete(path);
    await rm(path, { force: true });
}
function isAlive(pid) {
    try {
        process.kill(pid, 0);
        return true;
    }
    catch (error) {
        return error.code === "EPERM";
    }
}

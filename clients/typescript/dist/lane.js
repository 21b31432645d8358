/** Room is left below what the server takes for a request by default. */
const BATCH_CHARACTERS_MAX = 3_000_000;
export class Lane {
    /** Rows taken, and rows of which it is known what has become of them. */
    taken = 0;
    settled = 0;
    #work;
    #ready = [];
    #lines = [];
    #characters = 0;
    #timer = null;
    /** They have waited long enough. */
    #isDue = false;
    #isSending = false;
    #keeping = Promise.resolve();
    constructor(work) {
        this.#work = work;
    }
    add(line) {
        const { batchRows, intervalMs } = this.#work;
        if (this.#lines.length > 0 && this.#characters + line.length > BATCH_CHARACTERS_MAX)
            this.cut();
        this.taken++;
        this.#lines.push(line);
        this.#characters += line.length;
        if (this.#lines.length >= batchRows)
            this.cut();
        else
            this.#timer ??= setTimeout(() => this.#due(), intervalMs);
    }
    /** Of an earlier run. */
    addKept(left) {
        this.taken += left.rows;
        this.#ready.push({ batch: left, rows: left.rows });
        void this.#run();
    }
    /** What has gathered is a batch. */
    cut() {
        clearTimeout(this.#timer ?? undefined);
        this.#timer = null;
        this.#isDue = false;
        const lines = this.#lines;
        if (lines.length === 0)
            return;
        this.#lines = [];
        this.#characters = 0;
        const batch = this.#work.make(lines);
        this.#keeping = this.#keeping.then(async () => {
            await this.#work.keep(batch);
            this.#ready.push({ batch, rows: lines.length });
            void this.#run();
        });
        this.#keeping.catch((error) => this.#work.failed(error));
    }
    #due() {
        this.#timer = null;
        this.#isDue = true;
        if (this.#work.cutsAlways || !this.#isSending)
            this.cut();
    }
    async #run() {
        if (this.#isSending)
            return;
        this.#isSending = true;
        try {
            for (;;) {
                if (this.#isDue && this.#ready.length === 0) {
                    this.cut();
                    await this.#keeping;
                }
                const next = this.#ready.shift();
                if (next === undefined)
                    break;
                await this.#work.send(next.batch);
                this.settled += next.rows;
                this.#work.settled();
            }
        }
        catch (error) {
            this.#work.failed(error);
            return;
        }
        this.#isSending = false;
    }
}

/** The connections of all workers of a server, whichever of them is asked. */
import type { MemoryBoard } from "../memory/memory-board.ts";
import { notFound, unavailable } from "../protocol/errors.ts";
import {
  type ConnectionQuestion,
  type EndedConnection,
  type ListedConnection,
  type WorkerConnections,
  worstFirst,
} from "./connection.ts";
import type { OpenConnections } from "./open-connections.ts";
import { askForConnections, askToEnd } from "./worker-door.ts";

/** What the client of a connection is told when it is ended. */
const REASON = "an operator has ended this connection";

export interface AllConnectionsOptions {
  own: OpenConnections;
  folder: string;
  board: Pick<MemoryBoard, "processes">;
}

/** The answer of GET /v1/connections. */
export interface ConnectionList {
  connections: ListedConnection[];
  /** Of all that the question means. */
  left_out: number;
  workers: WorkerConnections["worker"][];
  /** Workers that didn't answer. */
  silent: string[];
}

export class AllConnections {
  readonly #options: AllConnectionsOptions;

  constructor(options: AllConnectionsOptions) {
    this.#options = options;
  }

  async list(question: ConnectionQuestion): Promise<ConnectionList> {
    const { own, folder } = this.#options;
    const others = this.#others();
    const [ofOwn, ...ofOthers] = await Promise.all([
      own.list(question),
      ...others.map(({ pid }) => askForConnections(folder, pid, question)),
    ]);
    const answers = [ofOwn, ...ofOthers].filter((answer) => answer !== null);
    const all = answers.flatMap(({ connections }) => connections);
    const connections = all.sort(worstFirst).slice(0, question.limit);
    return {
      connections,
      left_out: answers.reduce((sum, { matching }) => sum + matching, 0) - connections.length,
      workers: answers.map(({ worker }) => worker).sort((a, b) => a.worker - b.worker),
      silent: others.filter((_, index) => ofOthers[index] === null).map(({ name }) => name),
    };
  }

  /** @throws RequestError 404 there is none of that id; 503 a worker that may have it is silent. */
  async end(id: string): Promise<EndedConnection> {
    const { own, folder } = this.#options;
    const ofOwn = own.end(id, REASON);
    if (ofOwn !== null) return ofOwn;
    const others = this.#others();
    const asked = { id, reason: REASON };
    const answers = await Promise.all(others.map(({ pid }) => askToEnd(folder, pid, asked)));
    const ended = answers.find((answer) => answer != null);
    if (ended !== undefined && ended !== null) return ended;
    const silent = others.filter((_, index) => answers[index] === undefined).map(({ name }) => name);
    const shown = JSON.stringify(id.slice(0, 100));
    if (silent.length > 0)
      throw unavailable(`id: got ${shown}, which no worker has but perhaps ${silent.join(", ")}: no answer`);
    throw notFound(`id: got ${shown}, expected the id of an open connection, as GET /v1/connections tells`);
  }

  #others(): { pid: number; name: string }[] {
    const workers = this.#options.board.processes().filter(({ name }) => name.startsWith("worker"));
    return workers.filter(({ pid }) => pid !== process.pid);
  }
}

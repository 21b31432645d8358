import type { Scope } from "../access/scopes.ts";
import type { RequestDoor } from "../metrics/traffic.ts";
import type { Call } from "./call.ts";
import type { ErrorForm } from "./responses.ts";

export interface Route {
  /** Clients are told the first one. */
  paths: readonly string[];
  /** Paths that begin so, where no route has the path itself. */
  prefixes?: readonly string[];
  methods: readonly string[];
  /** What a key has to allow. "own": the answer asks for it itself; "none": it needs no key. */
  scope: Scope | "own" | "none";
  /** The client of a WebSocket may say who it is by its first message. */
  takesFirstMessage?: boolean;
  /** The key may be in its query, as `apiKey`. */
  takesQueryKey?: boolean;
  /** For the list of endpoints; without it the route is not in it. */
  shown?: string | undefined;
  /** Any page can make a browser send it: such a page must be one that is allowed. */
  isReachableByPages?: boolean;
  errorForm?: ErrorForm;
  /** What its bytes and rows count for; default: http. */
  door?: RequestDoor;
  /** undefined: it became a WebSocket. */
  answer(call: Call): Promise<Response | undefined>;
}

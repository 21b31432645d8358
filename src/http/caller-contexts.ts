import type { KeyRates } from "../access/key-rates.ts";
import type { Caller } from "../access/key-ring.ts";
import { audited } from "../commands/audited.ts";
import type { CommandContext } from "../commands/context.ts";
import { countedContext } from "../commands/counted-rows.ts";
import { contextOf } from "../commands/seen-tickers.ts";
import type { AuditLog } from "../observe/audit-log.ts";

/** Addresses of one caller whose contexts are kept. At this number they are forgotten. */
const ADDRESSES_MAX = 1_000;

/** What each caller may do. To make it for each request would cost a third of a price. */
export class CallerContexts {
  readonly #context: CommandContext;
  /** Null: there is none. */
  readonly #audit: AuditLog | null;
  readonly #rates: KeyRates;
  readonly #kept = new WeakMap<Caller, Map<string, CommandContext>>();

  constructor(context: CommandContext, { audit, rates }: { audit: AuditLog | null; rates: KeyRates }) {
    this.#context = context;
    this.#audit = audit;
    this.#rates = rates;
  }

  of(caller: Caller, from: { readonly address: string }): CommandContext {
    if (this.#audit === null && caller.sees === null && caller.rows === null) return this.#context;
    const byAddress = this.#kept.get(caller) ?? new Map<string, CommandContext>();
    const address = this.#audit === null ? "" : from.address;
    const kept = byAddress.get(address);
    if (kept !== undefined) return kept;
    const made = this.#make(caller, address);
    if (byAddress.size >= ADDRESSES_MAX) byAddress.clear();
    this.#kept.set(caller, byAddress.set(address, made));
    return made;
  }

  #make(caller: Caller, from: string): CommandContext {
    const note = this.#rates.noteRows(caller);
    const counted = note === null ? this.#context : countedContext(this.#context, note);
    const context = contextOf(counted, caller);
    return this.#audit === null ? context : audited(context, this.#audit, { who: caller.name, from });
  }
}

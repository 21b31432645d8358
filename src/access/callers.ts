/** Who a client is: by a key of the server's file, or by a token that another has issued. */
import { unauthorized } from "../protocol/errors.ts";
import { type Caller, EVERYBODY, type KeyRing, type StillAdmits } from "./key-ring.ts";
import { isToken, type TokenRing } from "./token-ring.ts";

export class Callers {
  readonly #keys: KeyRing;
  /** Null: none are taken. */
  readonly #tokens: TokenRing | null;

  constructor(keys: KeyRing, tokens: TokenRing | null) {
    this.#keys = keys;
    this.#tokens = tokens;
  }

  /** Whether each client has to say who it is. */
  get isEnforced(): boolean {
    return this.#tokens !== null || this.#keys.isEnforced;
  }

  stop(): void {
    this.#keys.stop();
    this.#tokens?.stop();
  }

  /**
   * At once, but for a token that has to be verified.
   *
   * @param sent a key or a token; null: none was sent.
   * @param from as in KeyRing.
   * @throws RequestError 401; of a token 429 and 503 too. It may also reject with these.
   */
  identify(sent: string | null, from: { readonly address: string }): Caller | Promise<Caller> {
    if (!this.isEnforced) return EVERYBODY;
    if (sent !== null && this.#tokens !== null && isToken(sent)) return this.#tokens.identify(sent);
    if (sent === null && this.#tokens !== null)
      throw unauthorized("expected a key or a token, as Authorization: Bearer …");
    if (this.#keys.isEnforced) return this.#keys.identify(sent, from);
    throw unauthorized("the key is not known, nor is it a token (JWT)");
  }

  readonly stillAdmits: StillAdmits = (client) =>
    client.isToken ? Date.now() < client.endsAt : this.#keys.stillAdmits(client);
}

/**
 * Tokens that others issue (JWT). One is verified once, by jose; then it is known by its hash until
 * it ends, as jose verifies in the runtime's pool of threads, where long calls of a database may
 * stand before it.
 */
import type { JWTPayload, JWTVerifyOptions } from "jose";
import { RequestError, tooMany, unauthorized, unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { within } from "../time/within.ts";
import type { Caller } from "./key-ring.ts";
import { callerOf } from "./token-claims.ts";
import { JwksAwayError, type JwksKeys, openJwks } from "./token-keys.ts";
import type { TokenRules } from "./token-rules.ts";

/** Clocks of an issuer and of this machine may differ by so much. */
const CLOCK_TOLERANCE_S = 10;
const TOKENS_KEPT_MAX = 10_000;
const TOKEN_CHARACTERS_MAX = 8_192;
/** Tokens that are being verified. */
const VERIFYING_MAX = 256;
const VERIFY_MS_MAX = 5_000;
const TOKEN = /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/;

const HOLDER_CODES = new Set(["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"]);

/** Whether a text has the form of a token: no key of ours has it. */
export function isToken(text: string): boolean {
  return text.startsWith("eyJ") && TOKEN.test(text);
}

/** @throws RequestError 401 */
type Verify = (token: string) => Promise<JWTPayload>;

export class TokenRing {
  readonly #rules: TokenRules;
  readonly #verify: Verify;
  readonly #jwks: JwksKeys | null;
  readonly #known = new Map<string, Caller>();
  readonly #verifying = new Map<string, Promise<Caller>>();

  private constructor(rules: TokenRules, verify: Verify, jwks: JwksKeys | null) {
    this.#rules = rules;
    this.#verify = verify;
    this.#jwks = jwks;
  }

  static async open(rules: TokenRules, log: { warning(text: string): void }): Promise<TokenRing> {
    const { jwtVerify } = await import("jose");
    const { key, issuer, audience } = rules;
    const options = (algorithms: string[]): JWTVerifyOptions => ({
      ...{ issuer, audience, algorithms },
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ["exp", "sub"],
    });
    if ("key" in key) {
      const of = options([key.algorithm]);
      return new TokenRing(rules, async (token) => (await jwtVerify(token, key.key, of)).payload, null);
    }
    const jwks = await openJwks(key.jwksUrl, log);
    // Each of these goes with one kind of key; none of them with a secret.
    const of = options(["RS256", "ES256", "EdDSA"]);
    return new TokenRing(rules, async (token) => (await jwtVerify(token, jwks.keyOf, of)).payload, jwks);
  }

  stop(): void {
    this.#jwks?.stop();
  }

  /**
   * At once for a token that is known.
   *
   * @throws RequestError 401; 429 and 503 it can't be verified now. Later ones reject the promise.
   */
  identify(token: string): Caller | Promise<Caller> {
    if (token.length > TOKEN_CHARACTERS_MAX)
      throw unauthorized(
        `the token has ${token.length} characters, expected at most ${TOKEN_CHARACTERS_MAX}`,
      );
    const hash = Bun.CryptoHasher.hash("sha256", token, "hex");
    const known = this.#known.get(hash);
    if (known !== undefined && Date.now() < known.endsAt) return known;
    this.#known.delete(hash);
    const verifying = this.#verifying.get(hash) ?? this.#begin(token, hash);
    return within(verifying, VERIFY_MS_MAX, () => {
      throw unavailable("the token can't be verified now: the server's threads are busy");
    });
  }

  #begin(token: string, hash: string): Promise<Caller> {
    if (this.#verifying.size >= VERIFYING_MAX)
      throw tooMany(`${VERIFYING_MAX} tokens are being verified already, expected fewer`);
    const verifying = this.#callerOf(token, hash).finally(() => this.#verifying.delete(hash));
    this.#verifying.set(hash, verifying);
    return verifying;
  }

  async #callerOf(token: string, hash: string): Promise<Caller> {
    let claims: JWTPayload;
    try {
      claims = await this.#verify(token);
    } catch (error) {
      throw refusalOf(error);
    }
    const caller = callerOf(claims, hash, (claims.exp! + CLOCK_TOLERANCE_S) * 1_000, this.#rules);
    if (this.#known.size >= TOKENS_KEPT_MAX) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(hash, caller);
    return caller;
  }
}

function refusalOf(error: unknown): unknown {
  if (error instanceof RequestError) return error;
  const { code } = error as { code?: unknown };
  if (error instanceof JwksAwayError || HOLDER_CODES.has(String(code)))
    return unavailable("the token can't be verified now: the keys of its issuer can't be fetched", {
      cause: error,
    });
  if (code === "ERR_JWT_EXPIRED") return unauthorized("the token has expired");
  // Only jose's own errors have a code of this form, and say what is wrong with the token.
  if (/^ERR_J[OW]/.test(String(code))) return unauthorized(`the token is not valid: ${messageOf(error)}`);
  // The issuer tells a key that can't be used, such as one of RSA that is too short.
  return unauthorized(`the token's key can't be used: ${messageOf(error)}`, { cause: error });
}

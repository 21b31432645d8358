/**
 * What `--jwt-…` says of tokens that others issue: what verifies them, and what their claims let a
 * client do.
 */
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";
import { isScope, SCOPES, type Scope } from "./scopes.ts";

/** RFC 7518: a key of HS256 is at least as long as its hash. */
const SECRET_BYTES_MIN = 32;
const RSA_BITS_MIN = 2048;

/** As `--jwt-…` has them. */
export interface TokenSettings {
  jwtSecretFile: string | null;
  jwtKeyFile: string | null;
  jwtJwksUrl: string | null;
  jwtIssuer: string | null;
  jwtAudience: string | null;
  jwtScopeClaim: string;
  jwtScopes: readonly string[];
  jwtTickersClaim: string | null;
}

type Algorithm = "HS256" | "RS256" | "ES256" | "EdDSA";

/** What verifies tokens. The kind of the key decides on the algorithm, never the token. */
type TokenKey = { key: KeyObject; algorithm: Algorithm } | { jwksUrl: string };

export interface TokenRules {
  key: TokenKey;
  issuer: string;
  audience: string;
  scopeClaim: string;
  /** What a value of that claim allows; null: the values are scopes themselves. */
  scopes: ReadonlyMap<string, readonly Scope[]> | null;
  /** Null: all tickers. */
  tickersClaim: string | null;
}

/** The message names the flag and what is wrong. */
class TokenRulesError extends Error {
  override name = "TokenRulesError";
}

export function takesTokens({ jwtSecretFile, jwtKeyFile, jwtJwksUrl }: TokenSettings): boolean {
  return (jwtSecretFile ?? jwtKeyFile ?? jwtJwksUrl) !== null;
}

/** @returns null: no tokens are taken. @throws TokenRulesError */
export function readTokenRules(settings: TokenSettings): TokenRules | null {
  const { jwtSecretFile, jwtKeyFile, jwtJwksUrl, jwtIssuer, jwtAudience, ...claims } = settings;
  const sources = [jwtSecretFile, jwtKeyFile, jwtJwksUrl].filter((source) => source !== null);
  const expected = "expected one of --jwt-secret-file, --jwt-key-file and --jwt-jwks-url";
  if (sources.length > 1) throw new TokenRulesError(`--jwt-…: got ${sources.length} keys, ${expected}`);
  if (sources.length === 0) {
    if (jwtIssuer !== null) throw new TokenRulesError(`--jwt-issuer: ${expected} beside it`);
    if (jwtAudience !== null) throw new TokenRulesError(`--jwt-audience: ${expected} beside it`);
    return null;
  }
  // Without them a token that was made for another service would be taken.
  if (jwtIssuer === null) throw new TokenRulesError("--jwt-issuer: expected the `iss` of the tokens");
  if (jwtAudience === null) throw new TokenRulesError("--jwt-audience: expected the `aud` of the tokens");
  return {
    key: keyOf(settings),
    issuer: jwtIssuer,
    audience: jwtAudience,
    scopeClaim: claims.jwtScopeClaim,
    scopes: claims.jwtScopes.length === 0 ? null : scopeMap(claims.jwtScopes),
    tickersClaim: claims.jwtTickersClaim,
  };
}

/** @param text `VALUE=SCOPE+SCOPE`. @returns null: it is no such thing. */
export function readScopeRule(text: string): [value: string, scopes: Scope[]] | null {
  const at = text.lastIndexOf("=");
  const scopes = text.slice(at + 1).split("+");
  return at > 0 && scopes.every(isScope) ? [text.slice(0, at), scopes] : null;
}

function scopeMap(rules: readonly string[]): Map<string, Scope[]> {
  const map = new Map<string, Scope[]>();
  for (const rule of rules) {
    const [value, scopes] = readScopeRule(rule)!;
    map.set(value, [...(map.get(value) ?? []), ...scopes]);
  }
  return map;
}

/** @throws TokenRulesError */
function keyOf({ jwtSecretFile, jwtKeyFile, jwtJwksUrl }: TokenSettings): TokenKey {
  if (jwtSecretFile !== null) return readSecret(jwtSecretFile);
  if (jwtKeyFile !== null) return readPublicKey(jwtKeyFile);
  return { jwksUrl: jwtJwksUrl! };
}

function readSecret(path: string): TokenKey {
  const where = `--jwt-secret-file ${path}`;
  const bytes = readBytes(where, path);
  // Whoever has a public key could sign with it, if it were taken for a secret.
  if (/-----BEGIN |^\s*\{/.test(bytes.toString("latin1")))
    throw new TokenRulesError(`${where}: got a key in PEM or JSON, expected a secret; see --jwt-key-file`);
  const secret = Buffer.from(bytes.toString("latin1").replace(/[\r\n]+$/, ""), "latin1");
  if (secret.length < SECRET_BYTES_MIN)
    throw new TokenRulesError(
      `${where}: got ${secret.length} bytes, expected a secret of at least ${SECRET_BYTES_MIN}`,
    );
  return { key: createSecretKey(secret), algorithm: "HS256" };
}

function readPublicKey(path: string): TokenKey {
  const where = `--jwt-key-file ${path}`;
  const text = readBytes(where, path).toString("utf8").trim();
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----|"d"\s*:/.test(text))
    throw new TokenRulesError(`${where}: got a private key, expected the public one alone`);
  let key: KeyObject;
  try {
    key = createPublicKey(text.startsWith("{") ? { key: JSON.parse(text), format: "jwk" } : text);
  } catch (error) {
    throw new TokenRulesError(`${where}: expected a public key in PEM or as a JWK: ${messageOf(error)}`);
  }
  const algorithm = algorithmOf(key);
  if (algorithm !== null) return { key, algorithm };
  throw new TokenRulesError(
    `${where}: got a key of ${shownKind(key)}, expected RSA of at least ${RSA_BITS_MIN} bits, ECDSA P-256 or Ed25519`,
  );
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Algorithm | null {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") return modulusLength >= RSA_BITS_MIN ? "RS256" : null;
  if (asymmetricKeyType === "ec") return namedCurve === "prime256v1" ? "ES256" : null;
  return asymmetricKeyType === "ed25519" ? "EdDSA" : null;
}

function shownKind({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { modulusLength, namedCurve } = asymmetricKeyDetails ?? {};
  return [asymmetricKeyType, namedCurve, modulusLength && `${modulusLength} bits`].filter(Boolean).join(" ");
}

function readBytes(where: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TokenRulesError(`${where}: ${messageOf(error)}`);
  }
}

export const SCOPE_RULE_EXPECTED = `VALUE=SCOPE+SCOPE with some of ${SCOPES.join(", ")}`;

/**
 * The certificate and key of a server, and the authorities of its clients' certificates. The files
 * are looked at again and again, so that a renewed certificate is served without a restart.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Settings } from "../config/settings.ts";
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";

const LOOK_MS = 1_000;
const DAY_MS = 86_400_000;
/** A certificate that ends so soon should have been renewed. */
const ENDS_SOON_MS = 14 * DAY_MS;

/** What is wrong with the files; the message names the flag and the file. */
class TlsError extends Error {
  override name = "TlsError";
}

/** As Bun takes it. */
export interface TlsOptions {
  cert: string;
  key: string;
  ca?: string;
  requestCert?: true;
  rejectUnauthorized?: true;
}

type TlsSettings = Pick<Settings, "tlsCert" | "tlsKey" | "tlsClientCa">;

/** @returns null: the server speaks plain HTTP. @throws TlsError */
export function readTls({ tlsCert, tlsKey, tlsClientCa }: TlsSettings): TlsOptions | null {
  if (tlsCert === null && tlsKey === null && tlsClientCa === null) return null;
  // With one of them missing Bun would serve plain HTTP, or fail each handshake.
  if (tlsCert === null)
    throw new TlsError("--tls-cert: expected a file, beside those of the other TLS flags");
  if (tlsKey === null) throw new TlsError("--tls-key: expected a file, beside that of --tls-cert");
  const cert = readPem("--tls-cert", tlsCert);
  const key = readPem("--tls-key", tlsKey);
  const certificate = certificatesOf("--tls-cert", tlsCert, cert)[0]!;
  let isPair: boolean;
  try {
    isPair = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new TlsError(
      `--tls-key ${tlsKey}: expected a private key in PEM, without a passphrase: ${messageOf(error)}`,
    );
  }
  if (!isPair) throw new TlsError(`--tls-key ${tlsKey}: is not the key of the certificate in ${tlsCert}`);
  if (tlsClientCa === null) return { cert, key };
  const ca = readPem("--tls-client-ca", tlsClientCa);
  certificatesOf("--tls-client-ca", tlsClientCa, ca);
  return { cert, key, ca, requestCert: true, rejectUnauthorized: true };
}

/** What an operator should know of the certificate; null: nothing. */
export function tlsWarning({ cert }: TlsOptions, nowMs: number): string | null {
  const { validFrom, validTo } = new X509Certificate(cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (nowMs > to) return `TLS: the certificate has ended on ${new Date(to).toISOString()}`;
  if (nowMs < from) return `TLS: the certificate is only valid from ${new Date(from).toISOString()} on`;
  if (nowMs > to - ENDS_SOON_MS) return `TLS: the certificate ends on ${new Date(to).toISOString()}`;
  return null;
}

/** Calls when other files have come that fit each other. */
export class TlsWatch {
  readonly #settings: TlsSettings;
  readonly #log: LogLines;
  readonly #timer: Timer;
  #seen: string;
  /** What was wrong with the files, so that it is told once. */
  #told = "";

  constructor(
    settings: TlsSettings,
    { log, onChanged }: { log: LogLines; onChanged(tls: TlsOptions): void },
  ) {
    this.#settings = settings;
    this.#log = log;
    this.#seen = stateOf(settings);
    this.#timer = setInterval(() => this.#look(onChanged), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(onChanged: (tls: TlsOptions) => void): void {
    const seen = stateOf(this.#settings);
    if (seen === this.#seen) return;
    try {
      const tls = readTls(this.#settings)!;
      onChanged(tls);
      this.#seen = seen;
      this.#told = "";
      const { subject, validTo } = new X509Certificate(tls.cert);
      this.#log.info(`TLS: a new certificate is served: ${subject.replaceAll("\n", ", ")}, until ${validTo}`);
      const warning = tlsWarning(tls, Date.now());
      if (warning !== null) this.#log.warning(warning);
    } catch (error) {
      // Often one file has come and the other follows. What Bun refuses must not end the worker.
      this.#tell(messageOf(error));
    }
  }

  #tell(problem: string): void {
    if (problem === this.#told) return;
    this.#told = problem;
    this.#log.warning(`TLS: the certificate from before is served: ${problem}`);
  }
}

function readPem(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TlsError(`${flag} ${path}: ${messageOf(error)}`);
  }
}

/** All of the file, at least one: of a chain that is cut Bun would serve nothing. */
function certificatesOf(flag: string, path: string, pem: string): X509Certificate[] {
  const blocks = pem.split(/(?=-----BEGIN )/).filter((block) => block.startsWith("-----BEGIN "));
  if (blocks.length === 0) throw new TlsError(`${flag} ${path}: expected certificates in PEM`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new TlsError(
        `${flag} ${path}: expected certificates in PEM, got another thing as number ${index + 1}: ${messageOf(error)}`,
      );
    }
  });
}

function stateOf({ tlsCert, tlsKey, tlsClientCa }: TlsSettings): string {
  return [tlsCert, tlsKey, tlsClientCa]
    .map((path) => {
      if (path === null) return "";
      try {
        const { ino, size, mtimeMs } = statSync(path);
        return `${ino} ${size} ${mtimeMs}`;
      } catch {
        return "gone";
      }
    })
    .join("|");
}

/** Certificates for tests, made by the openssl of this machine. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  cert: string;
  key: string;
}

/** Signs itself; for localhost and 127.0.0.1. @param days negative: it has ended. */
export function selfSigned(folder: string, name: string, days = 30): Certificate {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  openssl([
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", String(days), "-subj", `/CN=${name}`, "-keyout", made.key, "-out", made.cert],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
  ]);
  return made;
}

/** Signed by another one. */
export function signedBy(authority: Certificate, folder: string, name: string): Certificate {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const request = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  writeFileSync(extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  openssl([
    ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-subj", `/CN=${name}`, "-keyout", made.key, "-out", request],
  ]);
  openssl([
    ...["x509", "-req", "-days", "30", "-in", request, "-out", made.cert, "-extfile", extensions],
    ...["-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial"],
  ]);
  return made;
}

function openssl(args: string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

/** The platforms of the one file: what npm calls them, and the packages with their native parts. */
export interface Platform {
  name: string;
  /** Of Bun's builds. */
  target: Bun.Build.CompileTarget;
  /** So that npm installs its packages on any machine. */
  npmFlags: string[];
  bunPackage: string;
  duckdbPackage: string;
}

export const PLATFORMS: readonly Platform[] = [linux("x64", "x64"), linux("arm64", "aarch64")];

export function hostPlatform(): Platform {
  return platformNamed(`${process.platform}-${process.arch}`);
}

/** @throws Error there is no such platform. */
export function platformNamed(name: string): Platform {
  const found = PLATFORMS.find((platform) => platform.name === name);
  if (found !== undefined) return found;
  throw new Error(`platform: got ${name}, expected one of ${PLATFORMS.map((each) => each.name).join(", ")}`);
}

/** With glibc, which DuckDB's library for the others doesn't have. */
function linux(cpu: "x64" | "arm64", machine: string): Platform {
  return {
    name: `linux-${cpu}`,
    target: `bun-linux-${cpu}`,
    npmFlags: ["--os=linux", `--cpu=${cpu}`, "--libc=glibc"],
    bunPackage: `@oven/bun-linux-${machine}`,
    duckdbPackage: `@duckdb/node-bindings-linux-${cpu}`,
  };
}

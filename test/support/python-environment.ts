/**
 * An environment of Python with what the Python client needs, and with clients of others. It is
 * made once, in the system's temporary folder, and kept there for later runs, as it takes 500 MB
 * and half a minute.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const PYTHON_CLIENT = resolve(import.meta.dir, "../../clients/python");

const INSTALL_MS = 480_000;
const LOOK_MS = 200;
/** Those of Alpaca and of Massive, which was Polygon: they need pandas, too. */
const OTHER_CLIENTS = ["alpaca-py==0.44.0", "massive==2.9.1"];
const OLDEST = [3, 10] as const;

interface Project {
  project: { dependencies: string[] };
  "dependency-groups": { dev: string[] };
}

/** The interpreter; null, with a reason in the output, where it can't be had. */
export async function pythonEnvironment(): Promise<string | null> {
  const python = Bun.which("python3");
  if (python === null) return skipped("there is no python3");
  const asked = await run([python, "-c", "import sys; print(*sys.version_info[:2], sys.prefix)"]);
  const [major, minor] = asked.output.split(" ").map(Number) as [number, number];
  if (asked.code !== 0 || major !== OLDEST[0] || minor < OLDEST[1])
    return skipped(`python3 is ${asked.output.trim()}, and ${OLDEST.join(".")} is needed`);
  const text = readFileSync(join(PYTHON_CLIENT, "pyproject.toml"), "utf8");
  const { project, ...groups } = Bun.TOML.parse(text) as Project;
  const packages = [...project.dependencies, ...groups["dependency-groups"].dev, ...OTHER_CLIENTS];
  const hash = createHash("sha256")
    .update(JSON.stringify([asked.output, packages]))
    .digest("hex");
  const name = `stock-db-${process.getuid?.() ?? ""}-python-${hash.slice(0, 12)}`;
  return await once(python, packages, join(tmpdir(), name));
}

/** Of tests that run at the same time, one makes it and the others wait. */
async function once(python: string, packages: string[], folder: string): Promise<string | null> {
  const lock = `${folder}.making`;
  for (const since = performance.now(); performance.now() - since < INSTALL_MS; await Bun.sleep(LOOK_MS)) {
    if (existsSync(join(folder, "bin", "python"))) break;
    try {
      mkdirSync(lock);
    } catch {
      // One that was killed has left it behind.
      if (Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > INSTALL_MS)
        rmSync(lock, { recursive: true, force: true });
      continue;
    }
    try {
      return await kept(python, packages, folder);
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
  }
  return await kept(python, packages, folder);
}

async function kept(python: string, packages: string[], folder: string): Promise<string | null> {
  const interpreter = join(folder, "bin", "python");
  if (existsSync(interpreter)) return interpreter;
  const made = mkdtempSync(join(tmpdir(), "stock-db-install-"));
  const steps = [
    [python, "-m", "venv", made],
    [
      join(made, "bin", "python"),
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      ...packages,
    ],
  ];
  for (const step of steps) {
    const { code, output } = await run(step, { timeout: INSTALL_MS });
    if (code === 0) continue;
    rmSync(made, { recursive: true, force: true });
    return skipped(`${step.slice(0, 4).join(" ")} ended with ${code}: ${output.trim().slice(-500)}`);
  }
  try {
    // Its interpreter is a link, so `python -m …` works wherever the folder is.
    renameSync(made, folder);
  } catch {
    // Another test was first.
    rmSync(made, { recursive: true, force: true });
  }
  return existsSync(interpreter) ? interpreter : skipped(`${folder} can't be written`);
}

export interface Ended {
  code: number;
  /** Standard output, then standard error. */
  output: string;
}

/** A program to its end, in the folder of the client unless said otherwise. */
export async function run(
  command: string[],
  options: { timeout?: number; env?: Record<string, string>; cwd?: string } = {},
): Promise<Ended> {
  const child = Bun.spawn(command, {
    cwd: options.cwd ?? PYTHON_CLIENT,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  });
  const [output, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, output: output + errors };
}

function skipped(why: string): null {
  console.log(`SKIPPED: tests with Python don't run, as ${why}`);
  return null;
}

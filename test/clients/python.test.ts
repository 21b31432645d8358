/** The Python client: its own tests against servers of this repository, its types, its wheel. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { PYTHON_CLIENT, pythonEnvironment, run } from "../support/python-environment.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(900_000);

const python = await pythonEnvironment();
const withPython = test.skipIf(python === null);
const SOURCE = join(PYTHON_CLIENT, "src");

withPython("its tests pass", async () => {
  using cache = tempDir();
  const { code, output } = await run([python!, "-m", "pytest", "-q", "-p", "no:cacheprovider"], {
    env: { PYTHONPATH: SOURCE, STOCK_DB_TEST_BUN: process.execPath, TMPDIR: cache.path },
  });
  expect(code, output.slice(-20_000)).toBe(0);
  expect(output).toMatch(/\d+ passed/);
});

withPython("its types are whole, by mypy's strictest rules", async () => {
  // What it has learnt of the libraries takes longest, and is kept with them.
  const cache = join(dirname(python!), "..", "mypy-cache");
  const { code, output } = await run([python!, "-m", "mypy", "--strict", "--cache-dir", cache]);
  expect(code, output).toBe(0);
});

withPython("its wheel has its modules and types, and is installed by pip", async () => {
  using made = tempDir();
  const pip = [python!, "-m", "pip", "--disable-pip-version-check", "--quiet"];
  const wheel = await run([...pip, "wheel", ".", "--no-deps", "--no-build-isolation", "-w", made.path]);
  expect(wheel.code, wheel.output).toBe(0);
  const [file] = await readdir(made.path);
  expect(file).toBe(`stock_db-${packageJson.version}-py3-none-any.whl`);
  const target = join(made.path, "installed");
  const installed = await run([...pip, "install", "--no-deps", "--target", target, join(made.path, file!)]);
  expect(installed.code, installed.output).toBe(0);
  const modules = (await readdir(join(SOURCE, "stock_db"))).filter((name) => /\.(py|typed)$/.test(name));
  expect(modules.filter((name) => !existsSync(join(target, "stock_db", name)))).toEqual([]);
  const asked = await run(
    [python!, "-c", "import stock_db, stock_db.compat; print(stock_db.__version__, stock_db.__file__)"],
    { env: { PYTHONPATH: target }, cwd: made.path },
  );
  expect(asked.output).toStartWith(`${packageJson.version} ${target}`);
});

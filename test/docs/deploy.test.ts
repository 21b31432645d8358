/** The files of deploy/ fit the server: its flags, its variables, its routes, its version. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { version } from "../../package.json" with { type: "json" };
import { parseSettings } from "../../src/config/settings.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEPLOY = join(import.meta.dir, "../../deploy");

interface Named {
  name: string;
}

interface Container {
  image: string;
  args: string[];
  env: { name: string; value: string }[];
  ports: { name: string; containerPort: number }[];
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
  securityContext: Record<string, unknown>;
  resources: { limits: { memory: string } };
  [probe: string]: unknown;
}

interface PodSpec {
  terminationGracePeriodSeconds: number;
  shareProcessNamespace: boolean;
  securityContext: Record<string, unknown>;
  containers: Container[];
  volumes: (Named & { secret?: { secretName: string; defaultMode: number } })[];
}

interface Manifest {
  kind: string;
  metadata: Named;
  spec: {
    replicas?: number;
    selector?: Record<string, unknown> & { matchLabels?: Record<string, string> };
    ports?: { targetPort: string }[];
    volumeClaimTemplates?: { metadata: Named }[];
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
  };
}

const read = (path: string): string => readFileSync(join(DEPLOY, path), "utf8");
const manifestsOf = (path: string): Manifest[] => Bun.YAML.parse(read(path)) as Manifest[];
const workloadOf = (path: string): Manifest =>
  manifestsOf(path).find(({ kind }) => ["StatefulSet", "Deployment"].includes(kind))!;

test("every YAML file can be read", () => {
  const files = [...new Glob("**/*.yaml").scanSync(DEPLOY)].sort();
  expect(files).toEqual(["compose/compose.yaml", "kubernetes/postgresql.yaml", "kubernetes/sqlite.yaml"]);
  for (const file of files) expect(Bun.YAML.parse(read(file))).toBeObject();
});

test("SQLite has one pod with a volume; PostgreSQL several without, that aren't all taken away at once", () => {
  const sqlite = workloadOf("kubernetes/sqlite.yaml");
  expect([sqlite.kind, sqlite.spec.replicas]).toEqual(["StatefulSet", 1]);
  expect(sqlite.spec.volumeClaimTemplates!.map(({ metadata }) => metadata.name)).toEqual(["data"]);
  const postgres = manifestsOf("kubernetes/postgresql.yaml");
  expect(postgres.map(({ kind }) => kind)).toEqual(["Service", "Deployment", "PodDisruptionBudget"]);
  expect(workloadOf("kubernetes/postgresql.yaml").spec.replicas).toBeGreaterThan(1);
});

for (const file of ["kubernetes/sqlite.yaml", "kubernetes/postgresql.yaml"]) {
  const { spec } = workloadOf(file);
  const pod = spec.template.spec;
  const [server] = pod.containers as [Container];

  test(`${file}: the server takes its flags and variables, and wants keys`, () => {
    using dir = tempDir();
    const url = join(dir.path, "url");
    writeFileSync(url, "postgresql://stocks@database/stocks");
    const env = Object.fromEntries(
      server.env.map(({ name, value }) => [name, value.endsWith("/database/url") ? url : value]),
    );
    const image = { STOCK_DB_HOST: "0.0.0.0" };
    const { settings } = parseSettings(server.args.slice(1), { ...image, ...env });
    expect(server.args[0]).toBe("serve");
    expect(settings).toMatchObject({
      insecureNoAuth: false,
      workers: 2,
      port: server.ports[0]!.containerPort,
    });
    expect(settings.keys).toStartWith("/etc/stocks/keys/");
    expect(settings.workerRestartTimeoutMs / 1000 + 15).toBeLessThan(pod.terminationGracePeriodSeconds);
    expect(server.image).toBe(`stock-db-server:${version}`);
  });

  test(`${file}: probes of start, readiness and liveness ask what is answered without a key`, () => {
    for (const [probe, path] of [
      ["startupProbe", "/ready"],
      ["readinessProbe", "/ready"],
      ["livenessProbe", "/live"],
    ] as const)
      expect(server[probe]).toMatchObject({ httpGet: { path, port: server.ports[0]!.name } });
    const service = manifestsOf(file).find(({ kind }) => kind === "Service")!;
    expect(service.spec.ports!.map(({ targetPort }) => targetPort)).toEqual([server.ports[0]!.name]);
  });

  test(`${file}: no root, no capability, no writing but to volumes, which all are there`, () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10001,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(server.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(pod.shareProcessNamespace).toBe(true);
    const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
    const volumes = [...pod.volumes.map(({ name }) => name), ...claims];
    expect(server.volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.sort());
    for (const { name, secret } of pod.volumes) {
      if (secret === undefined) continue;
      expect(secret.defaultMode).toBe(0o440);
      expect(server.volumeMounts.find((mount) => mount.name === name)!.readOnly).toBe(true);
    }
  });

  test(`${file}: what selects the pods fits their labels`, () => {
    const { labels } = spec.template.metadata;
    for (const { kind, spec } of manifestsOf(file)) {
      const wanted = kind === "Service" ? spec.selector : spec.selector?.matchLabels;
      expect([kind, wanted]).toEqual([kind, labels]);
    }
  });
}

const UNIT = read("systemd/stock-db-server.service");
const commandOf = (unit: string): string[] => /^ExecStart=(.+)$/m.exec(unit)![1]!.split(" ");

test("the units of systemd start the server with flags that it takes", () => {
  const own = commandOf(UNIT);
  const npm = commandOf(read("systemd/npm.conf"));
  expect(own.slice(0, 2)).toEqual(["/usr/local/bin/stock-db-server", "serve"]);
  expect(npm.slice(2)).toEqual(own.slice(1));
  expect(parseSettings(own.slice(2), {}).settings).toMatchObject({
    host: "127.0.0.1",
    insecureNoAuth: false,
  });
});

const hasSystemd = Bun.which("systemd-analyze") !== null;
if (!hasSystemd) console.log("deploy.test.ts: the unit is skipped: there is no systemd-analyze");

test.skipIf(!hasSystemd)("systemd finds no fault with the unit, and rates its hardening below 2", () => {
  using dir = tempDir();
  const path = join(dir.path, "stock-db-server.service");
  writeFileSync(path, UNIT.replaceAll("/usr/local/bin/stock-db-server", "/bin/true"));
  const run = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", ...args, path]);
    return { exitCode, said: exitCode === 0 ? "" : stdout.toString() + stderr.toString() };
  };
  expect(run("verify")).toEqual({ exitCode: 0, said: "" });
  expect(run("security", "--offline=true", "--threshold=20")).toEqual({ exitCode: 0, said: "" });
});

/**
 * Builds a Dockerfile's image and runs it without a container engine: this machine's own files
 * stand for the base images, under a layer that takes all writes; namespaces of the kernel do the
 * rest. So it is no test of what a base image lacks. Needs root.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type Instruction, ignores, parseDockerfile, type Stage } from "./dockerfile.ts";
import { waitUntil } from "./server.ts";
import { childrenOf } from "./server-processes.ts";

const PROJECT = join(import.meta.dir, "../..");

/** Makes the file system of a container, and becomes its first program. */
const BECOME_CONTAINER = `
set -e
mount -t overlay overlay -o lowerdir=/,upperdir="$LAYER/files",workdir="$LAYER/work" "$LAYER/root"
mount -t proc proc "$LAYER/root/proc"
mount --rbind /dev "$LAYER/root/dev"
for mounted in $MOUNTS; do
  mkdir -p "$LAYER/root\${mounted#*:}"
  mount --bind "\${mounted%%:*}" "$LAYER/root\${mounted#*:}"
done
[ -z "$IS_READ_ONLY" ] || mount -o remount,ro "$LAYER/root"
[ -z "$OWN_NETWORK" ] || ip link set lo up
exec chroot --userspec="$CONTAINER_USER" "$LAYER/root" "$@"`;

interface HealthCheck {
  command: string[];
  flags: Record<string, string>;
}

export interface Image {
  /** What its stage has written, as in the image. */
  files: string;
  env: Record<string, string>;
  workdir: string;
  user: string;
  entrypoint: string[];
  command: string[];
  health: HealthCheck | null;
  volumes: string[];
  stopSignal: NodeJS.Signals;
}

export interface ContainerOptions {
  /** On top of the image's. */
  env?: Record<string, string>;
  /** In the place of the image's. */
  command?: string[];
  /** Folders of this machine, by where they are in the container. */
  mounts?: Record<string, string>;
  /** All but what is mounted. */
  isReadOnly?: boolean;
}

export interface Container {
  /** Of its first process, as this machine sees it. */
  pid: number;
  exited: Promise<number>;
  log(): string;
  /** As `docker exec`. */
  exec(command: string[]): Promise<number>;
  /** Kills all of it, where a test has failed before its end. */
  [Symbol.dispose](): void;
}

export const canRunContainers = process.getuid!() === 0 && canMount();

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "stock-db-layer-"));
  try {
    makeLayer(folder);
    const tried = Bun.spawnSync(inNamespaces(["--net"], "true"), { env: layerEnv(folder, "0:0", true) });
    return tried.exitCode === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param folder gets the layers. @returns that of the last stage. */
export async function buildImage(dockerfile: string, context: string, folder: string): Promise<Image> {
  const isIgnored = ignores(readFileSync(`${dockerfile}.dockerignore`, "utf8"));
  const images = new Map<string, Image>();
  for (const stage of parseDockerfile(readFileSync(dockerfile, "utf8"))) {
    const image = newImage(join(folder, stage.name));
    for (const instruction of stage.instructions) {
      const from = images.get(instruction.flags.from ?? "")?.files;
      if (instruction.name === "COPY")
        copy(instruction, image, from ?? context, from ? () => false : isIgnored);
      else if (instruction.name === "RUN") await runStep(instruction, image);
      else configure(instruction, image, stage);
    }
    images.set(stage.name, image);
  }
  return [...images.values()].at(-1)!;
}

export async function runContainer(image: Image, options: ContainerOptions = {}): Promise<Container> {
  const { env = {}, command = image.command, mounts = {}, isReadOnly = false } = options;
  const child = Bun.spawn(inNamespaces(["--net"], ...insideOf(image, env), ...image.entrypoint, ...command), {
    env: {
      ...layerEnv(dirname(image.files), image.user, true),
      MOUNTS: Object.entries(mounts)
        .map(([target, folder]) => `${folder}:${target}`)
        .join(" "),
      IS_READ_ONLY: isReadOnly ? "1" : "",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) log += new TextDecoder().decode(chunk);
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const first = await waitUntil(
    "the container runs",
    () => childrenOf(child.pid)[0] ?? (child.exitCode !== null && "ended"),
  );
  const container = {
    get pid() {
      if (first === "ended") throw new Error(`the container has ended; its log:\n${log}`);
      return first;
    },
    exited: collected.then(() => child.exited),
    log: () => log,
    async exec(words: string[]) {
      const enter = ["nsenter", `--target=${container.pid}`, "--mount", "--pid", "--net", "--root", "--wd"];
      const asUser = ["chroot", `--userspec=${image.user}`, "/"];
      const inside = Bun.spawn([...enter, ...asUser, ...insideOf(image, env), ...words], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      return await inside.exited;
    },
    [Symbol.dispose]() {
      // Its first process, as the others end with it, and it outlives the one that made it.
      if (first !== "ended" && child.exitCode === null) process.kill(first, "SIGKILL");
    },
  };
  return container;
}

function newImage(layer: string): Image {
  return {
    files: makeLayer(layer),
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    workdir: "/",
    user: "0:0",
    entrypoint: [],
    command: [],
    health: null,
    volumes: [],
    stopSignal: "SIGTERM",
  };
}

function makeLayer(layer: string): string {
  for (const part of ["files", "work", "root"]) mkdirSync(join(layer, part), { recursive: true });
  return join(layer, "files");
}

function configure({ name, words, isJson, flags }: Instruction, image: Image, { base }: Stage): void {
  if (["CMD", "ENTRYPOINT"].includes(name) && !isJson) throw new Error(`${base}: ${name} isn't in exec form`);
  if (name === "WORKDIR") {
    image.workdir = resolve(image.workdir, words[0]!);
    mkdirSync(join(image.files, image.workdir), { recursive: true });
  } else if (name === "ENV") {
    for (const word of words) image.env[word.split("=")[0]!] = word.slice(word.indexOf("=") + 1);
  } else if (name === "USER") image.user = words[0]!;
  else if (name === "VOLUME") image.volumes.push(...words);
  else if (name === "ENTRYPOINT") image.entrypoint = words;
  else if (name === "CMD") image.command = words;
  else if (name === "STOPSIGNAL") image.stopSignal = words[0] as NodeJS.Signals;
  else if (name === "HEALTHCHECK" && words[0] === "CMD")
    image.health = { flags, command: JSON.parse(words.slice(1).join(" ")) as string[] };
  else if (name !== "EXPOSE") throw new Error(`Dockerfile: ${name} isn't known to the test`);
}

function copy(
  { words, flags }: Instruction,
  image: Image,
  context: string,
  isIgnored: (path: string) => boolean,
): void {
  const target = words.at(-1)!;
  const to = join(image.files, resolve(image.workdir, target));
  for (const source of words.slice(0, -1)) {
    const from = join(context, source);
    if (!existsSync(from)) throw new Error(`COPY ${source}: there is no such file`);
    if (isIgnored(source)) throw new Error(`COPY ${source}: .dockerignore leaves it out`);
    const place = target.endsWith("/") ? join(to, basename(source)) : to;
    mkdirSync(dirname(place), { recursive: true });
    cpSync(from, place, {
      recursive: true,
      filter: (path) => path === from || !isIgnored(relative(context, path)),
    });
    const [uid, gid] = (flags.chown ?? "0:0").split(":").map(Number);
    chownSync(place, uid!, gid!);
    // A folder's content is copied, not itself.
    if (statSync(from).isDirectory()) chmodSync(place, 0o755);
    if (flags.chmod !== undefined) chmodSync(place, Number.parseInt(flags.chmod, 8));
  }
}

/** What npm would install, which takes long, is taken from what is installed here. */
async function runStep({ words }: Instruction, image: Image): Promise<void> {
  if (/^npm ci\b/.test(words[0]!)) {
    symlinkSync(join(PROJECT, "node_modules"), join(image.files, image.workdir, "node_modules"));
    return;
  }
  const step = Bun.spawn(inNamespaces([], ...insideOf(image, {}), "sh", "-c", words[0]!), {
    env: layerEnv(dirname(image.files), image.user, false),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([step.stdout.text(), step.stderr.text()]);
  if ((await step.exited) !== 0) throw new Error(`RUN ${words[0]} failed:\n${stdout}\n${stderr}`);
}

function inNamespaces(more: string[], ...command: string[]): string[] {
  const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", ...more];
  return [...unshare, "sh", "-c", BECOME_CONTAINER, "container", ...command];
}

function layerEnv(layer: string, user: string, ownNetwork: boolean): Record<string, string> {
  return { PATH: process.env.PATH!, LAYER: layer, CONTAINER_USER: user, OWN_NETWORK: ownNetwork ? "1" : "" };
}

function insideOf({ env, workdir }: Image, more: Record<string, string>): string[] {
  const variables = Object.entries({ ...env, ...more }).map(([name, value]) => `${name}=${value}`);
  return ["env", "-i", `--chdir=${workdir}`, ...variables];
}

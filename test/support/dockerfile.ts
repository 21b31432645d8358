/** Reads a Dockerfile, as far as ours need it. What isn't known here is an error. */

export interface Instruction {
  name: string;
  /** After the flags; of those in JSON, the list. */
  words: string[];
  isJson: boolean;
  flags: Record<string, string>;
}

export interface Stage {
  name: string;
  base: string;
  instructions: Instruction[];
}

export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  const stages: Stage[] = [];
  for (const line of lines) {
    const instruction = parseInstruction(line);
    if (instruction.name !== "FROM") {
      stages.at(-1)!.instructions.push(instruction);
      continue;
    }
    const [base = "", as, name = `${stages.length}`] = instruction.words;
    if (as !== undefined && as !== "AS") throw new Error(`Dockerfile: expected FROM … AS …, got ${line}`);
    stages.push({ base, name, instructions: [] });
  }
  return stages;
}

function parseInstruction(line: string): Instruction {
  const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
  if (name === "") throw new Error(`Dockerfile: expected an instruction, got ${line}`);
  const flags: Record<string, string> = {};
  const others = rest.replace(/^(?:--[\w-]+=\S+\s+)+/, (found) => {
    for (const [, flag = "", value = ""] of found.matchAll(/--([\w-]+)=(\S+)/g)) flags[flag] = value;
    return "";
  });
  const isJson = others.startsWith("[");
  const words = isJson ? (JSON.parse(others) as string[]) : name === "RUN" ? [others] : others.split(/\s+/);
  return { name, words, isJson, flags };
}

/** @param text of .dockerignore: the last pattern that fits a path or a folder above it decides. */
export function ignores(text: string): (path: string) => boolean {
  const patterns = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ isException: line.startsWith("!"), glob: new Bun.Glob(line.replace(/^!/, "")) }));
  return (path) => {
    const parts = path.split("/");
    const above = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    return patterns.findLast(({ glob }) => above.some((each) => glob.match(each)))?.isException === false;
  };
}

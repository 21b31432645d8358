/**
 * The list of what is in one file, as CycloneDX: npm's list of its packages, and Bun with its
 * parts, which npm doesn't know.
 */

interface Component {
  "bom-ref": string;
  type: "library" | "application";
  name: string;
  version: string;
  purl?: string;
  description?: string;
  components?: Component[];
}

interface Bom {
  serialNumber: string;
  metadata: { timestamp: string; component: Component; [field: string]: unknown };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
  [field: string]: unknown;
}

export interface SbomOptions {
  /** As `npm sbom` writes it for the packages that are installed for the platform. */
  ofPackages: string;
  /** Of the one file. */
  fileName: string;
  sha256: string;
  /** When the source was committed. */
  committedAt: Date;
  /** `process.versions` of the Bun in the file. */
  versions: Readonly<Record<string, string | undefined>>;
}

/** The same input gives the same text: its number and its time are those of the file. */
export function sbomOf({ ofPackages, fileName, sha256, committedAt, versions }: SbomOptions): string {
  const bom = JSON.parse(ofPackages) as Bom;
  const { component } = bom.metadata;
  const runtime = runtimeOf(versions);
  bom.serialNumber = `urn:uuid:${uuidOf(sha256)}`;
  bom.metadata = {
    ...bom.metadata,
    timestamp: committedAt.toISOString(),
    component: {
      ...component,
      type: "application",
      name: fileName,
      ...{ hashes: [{ alg: "SHA-256", content: sha256 }] },
    },
  };
  // The package of npm brings the runtime, and isn't in the file itself.
  bom.components = [...bom.components.filter(({ name }) => !isBunPackage(name)), runtime];
  bom.dependencies = bom.dependencies
    .filter(({ ref }) => !isBunPackage(ref))
    .map(({ ref, dependsOn }) => ({
      ref,
      dependsOn: [
        ...dependsOn.filter((name) => !isBunPackage(name)),
        ...(ref === component["bom-ref"] ? [runtime["bom-ref"]] : []),
      ],
    }));
  bom.dependencies.push({ ref: runtime["bom-ref"], dependsOn: [] });
  return `${JSON.stringify(bom, null, 2)}\n`;
}

function isBunPackage(name: string): boolean {
  return /^(?:bun|@oven\/bun-[\w-]+)(?:@|$)/.test(name);
}

/** Without node, v8, napi and the like, which Bun resembles and doesn't have. */
function runtimeOf({
  bun,
  node,
  v8,
  uv,
  napi,
  modules,
  unicode,
  ...parts
}: SbomOptions["versions"]): Component {
  if (bun === undefined) throw new Error("versions: expected those of Bun, got none");
  return {
    "bom-ref": `bun-runtime@${bun}`,
    type: "application",
    name: "bun",
    version: bun,
    purl: `pkg:github/oven-sh/bun@bun-v${bun}`,
    description: "The JavaScript runtime in the file",
    components: Object.entries(parts).map(([name, version = ""]) => ({
      "bom-ref": `bun-runtime@${bun}/${name}`,
      type: "library",
      name,
      version,
    })),
  };
}

/** One of version 8, whose bits are of the user's own choice. */
function uuidOf(sha256: string): string {
  const digits = `${sha256.slice(0, 12)}8${sha256.slice(13, 16)}8${sha256.slice(17, 32)}`;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

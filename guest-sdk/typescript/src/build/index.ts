//! Makes a component of a module whose default export is a projection: bundles it, and puts it into QuickJS.

import { existsSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { componentize } from "componentize-qjs";
import { type Plugin, rolldown } from "rolldown";

import * as lineMap from "../line-map.js";
import { linesOf, type SourceMap } from "./source-map.js";
import { checkTypes } from "./types.js";

/** The package, built: the folder above this file's. */
const DIST = dirname(dirname(fileURLToPath(import.meta.url)));
const ENTRY = "\0kennel-entry";
const LINES = "__KENNEL_LINES__";

/** How a component is built. */
export interface BuildOptions {
  /** Whether mistakes in types are errors, if the project has a `tsconfig.json`: yes if left out. */
  check?: boolean;
}

/** The component of a TypeScript or JavaScript module. */
export async function build(entry: string, { check = true }: BuildOptions = {}): Promise<Uint8Array> {
  const path = resolve(entry);
  if (!existsSync(path)) throw new Error(`there is no file ${entry}`);
  const project = projectOf(path);
  if (check) checkTypes(project);
  const jsSource = await bundle(path, project);
  const { component } = await componentize({
    witPath: join(DIST, "..", "wit"),
    world: "projection",
    jsSource,
    sync: true,
  });
  return component;
}

async function bundle(entry: string, project: string): Promise<string> {
  const build = await rolldown({
    cwd: project,
    input: ENTRY,
    external: /^kennel:/,
    platform: "neutral",
    resolve: { mainFields: ["module", "main"] },
    onLog: (level, log, report) => {
      if (log.code === "UNRESOLVED_IMPORT") throw new Error(log.message);
      report(level, log);
    },
    plugins: [joint(entry)],
  });
  try {
    const { output } = await build.generate({
      dir: project,
      format: "esm",
      sourcemap: true,
      codeSplitting: false,
      minify: false,
    });
    const [chunk] = output;
    const lines = JSON.stringify(lineMap.write(placesOf(chunk.map, project)));
    return chunk.code.replace(JSON.stringify(LINES), () => lines);
  } finally {
    await build.close();
  }
}

/** Joins the developer's module to this package, whichever copy of the package the module would find. */
function joint(entry: string): Plugin {
  const own: Record<string, string> = {
    "kennel-projection": join(DIST, "index.js"),
    "kennel-projection/guest": join(DIST, "guest.js"),
  };
  return {
    name: "kennel-projection",
    resolveId: (id) => (id === ENTRY ? id : (own[id] ?? null)),
    load: (id) =>
      id === ENTRY
        ? `import { serve } from "kennel-projection/guest";
import projection from ${JSON.stringify(entry)};
export const { describe, handle } = serve(projection, ${JSON.stringify(LINES)});`
        : null,
  };
}

/** The places of the developer's lines; this package's own have none. */
function placesOf(map: SourceMap | null, project: string): (string | undefined)[] {
  if (map === null) return [];
  const names = map.sources.map((source) => {
    const path = resolve(project, source);
    const isOwn = source.includes(ENTRY.slice(1)) || path.startsWith(DIST + sep);
    return isOwn ? undefined : relative(project, path).split(sep).join("/");
  });
  const places = linesOf(map).map((place) => {
    const name = place === undefined ? undefined : names[place[0]];
    return place === undefined || name === undefined ? undefined : `${name}:${place[1]}`;
  });
  return [undefined, ...places];
}

/** The folder of the nearest package.json: places are named from there, so that the component is the same anywhere. */
function projectOf(entry: string): string {
  for (let folder = dirname(entry); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return dirname(entry);
  }
}

#!/usr/bin/env node
//! The command `kennel-projection`: builds a component.

import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./index.js";

const USAGE = `Builds a component of a projection in TypeScript or JavaScript

Usage: kennel-projection build ENTRY [-o FILE] [--no-check]

  ENTRY           The module whose default export is the projection
  -o, --out FILE  Where to write the component [default: the name of ENTRY with .wasm]
  --no-check      Leave out the check of types, which a tsconfig.json beside the package.json asks for`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: "string", short: "o" },
      "no-check": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const [command, entry, ...more] = positionals;
  if (command !== "build" || entry === undefined || more.length > 0) {
    console.error(USAGE);
    return 2;
  }
  const out = values.out ?? `${basename(entry).replace(/\.[cm]?[jt]s$/, "")}.wasm`;
  const component = await build(entry, { check: values["no-check"] !== true });
  writeFileSync(out, component);
  console.log(`${out}: ${(component.length / 1e6).toFixed(2)} MB`);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  },
);

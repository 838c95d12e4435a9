//! Checks the types of a project with its own compiler.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Throws what the compiler says of a project with mistakes. A project without `tsconfig.json` is plain JavaScript, and
 * one without the compiler does not want the check.
 */
export function checkTypes(project: string): void {
  const compiler = compilerOf(project);
  if (compiler === undefined || !existsSync(join(project, "tsconfig.json"))) return;
  const command = [compiler, "--noEmit", "-p", "."];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: project, encoding: "utf8" });
  if (status !== 0) throw new Error(`${stdout}${stderr}`.trimEnd());
}

function compilerOf(folder: string): string | undefined {
  const compiler = join(folder, "node_modules", "typescript", "bin", "tsc");
  if (existsSync(compiler)) return compiler;
  return dirname(folder) === folder ? undefined : compilerOf(dirname(folder));
}

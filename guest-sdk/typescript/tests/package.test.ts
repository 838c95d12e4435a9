import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "kennel-projection/build";

const PACKAGE = new URL("../", import.meta.url);

function path(relative: string): string {
  return fileURLToPath(new URL(relative, PACKAGE));
}

test("the package has the contract of the repository", () => {
  const original = path("../../wit/world.wit");
  if (!existsSync(original)) return;
  assert.equal(readFileSync(path("wit/world.wit"), "utf8"), readFileSync(original, "utf8"), "run generate.sh");
});

interface LockFile {
  packages: Record<string, { version?: string; dependencies?: object; devDependencies?: object; resolved?: string }>;
}

function json(relative: string): unknown {
  return JSON.parse(readFileSync(path(relative), "utf8"));
}

test("the templates pin the packages that this package is tested with", () => {
  const own = json("package-lock.json") as LockFile;
  const { version, dependencies, devDependencies } = json("package.json") as LockFile["packages"][string];
  for (const template of ["template", "template-javascript"]) {
    const { packages } = json(`${template}/package-lock.json`) as LockFile;
    const { "": root, sdk, "node_modules/kennel-projection": link, ...installed } = packages;
    const pinned = (from: LockFile["packages"]) => Object.entries(from).map(([name, { version }]) => [name, version]);
    const { "": _, ...expected } = own.packages;
    assert.deepEqual(pinned(installed), pinned(expected), "run generate.sh");
    assert.deepEqual(sdk && [sdk.version, sdk.dependencies, sdk.devDependencies], [
      version,
      dependencies,
      devDependencies,
    ]);
    assert.equal(link?.resolved, "sdk");
    assert.ok(
      Object.values(installed).every(({ resolved }) => resolved === undefined),
      "a registry is named",
    );
    const described = json(`${template}/package.json`) as LockFile["packages"][string];
    assert.deepEqual(root?.dependencies, described.dependencies);
    assert.deepEqual(root?.devDependencies, described.devDependencies);
  }
});

test("the template in JavaScript is the one in TypeScript without its types", () => {
  const source = readFileSync(path("template/src/my-projection.ts"), "utf8");
  const plain = source.replace(/^type .*\n/gm, "").replace("\n\n\n", "\n\n");
  const expected = plain.replace(", type Whole", "").replace("<Events, Documents>", "");
  assert.equal(readFileSync(path("template-javascript/src/my-projection.js"), "utf8"), expected);
  const [typed, untyped] = ["template/test/my-projection.test.ts", "template-javascript/test/my-projection.test.js"];
  assert.equal(readFileSync(path(untyped), "utf8"), readFileSync(path(typed), "utf8"));
});

test("the examples of the README are tested", () => {
  const readme = readFileSync(path("README.md"), "utf8");
  for (const file of ["loyalty.ts", "loyalty.test.ts"]) {
    const example = readFileSync(path(`tests/${file}`), "utf8").replace('"./loyalty.js"', '"../src/loyalty.js"');
    assert.ok(readme.includes(`\`\`\`ts\n${example}\`\`\`\n`), `the README has not tests/${file}`);
  }
});

test("the example becomes a component that names the lines of its sources, and none of the package's", async () => {
  const component = await build(path("examples/order-summary/src/order-summary.ts"));
  assert.deepEqual([...component.subarray(0, 8)], [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]);
  const text = Buffer.from(component).toString("latin1");
  assert.match(text, /[^/]src\/order-summary\.ts;,+0:1/);
  assert.doesNotMatch(text, /projection\.js[|;]/);
});

test("a module that is missing is named", async () => {
  await assert.rejects(build("none.ts"), /there is no file none.ts/);
});

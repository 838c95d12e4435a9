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
  assert.match(text, /[^/]examples\/order-summary\/src\/order-summary\.ts;,+0:1/);
  assert.doesNotMatch(text, /projection\.js[|;]/);
});

test("a module that is missing is named", async () => {
  await assert.rejects(build("none.ts"), /there is no file none.ts/);
});

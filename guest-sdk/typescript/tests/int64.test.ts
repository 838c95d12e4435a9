import assert from "node:assert/strict";
import { test } from "node:test";

import { int64 } from "kennel-projection";

test("sums and products are exact", () => {
  assert.equal(int64.add(1, 2), 3);
  assert.equal(int64.add(2 ** 53 - 1, 2), 2n ** 53n + 1n);
  assert.equal(int64.subtract(2n ** 53n + 1n, 2), 2 ** 53 - 1);
  assert.equal(int64.multiply(3037000500, 3037000499), 3037000500n * 3037000499n);
  assert.equal(int64.multiply(-(2n ** 62n), 2), -(2n ** 63n));
  assert.equal(int64.multiply(-4, 0), 0);
  assert.equal(int64.int64(7n), 7);
});

test("a sum that leaves 64 bits is an error", () => {
  assert.throws(() => int64.add(2n ** 63n - 1n, 1), /leaves the range of 64 bits/);
  assert.throws(() => int64.subtract(-(2n ** 63n), 1), /leaves the range of 64 bits/);
  assert.throws(() => int64.multiply(2, 2n ** 63n - 1n), /leaves the range of 64 bits/);
});

test("a number that is not whole or not exact is an error", () => {
  assert.throws(() => int64.add(0.5, 1), /0.5 is not a whole number/);
  assert.throws(() => int64.add(2 ** 53, 1), /use a bigint/);
  assert.throws(() => int64.add("1" as never, 1), /found a string/);
});

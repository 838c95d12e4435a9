import assert from "node:assert/strict";
import { test } from "node:test";

import { json } from "kennel-projection";

test("whole numbers beyond 2^53 are read and written exactly", () => {
  for (const [text, value] of [
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", 9007199254740992n],
    ["-9007199254740993", -9007199254740993n],
    ["9223372036854775807", 9223372036854775807n],
    ["9007199254740993.0", 9007199254740993n],
    ["9007199254740993000e-3", 9007199254740993n],
    ["1.2345678901234567890E+19", 12345678901234567890n],
    ["1e3", 1000],
    ["1234567890123456e-10", 123456.7890123456],
    ["[1,12345678901234567890]", [1, 12345678901234567890n]],
    ['"12345678901234567890"', "12345678901234567890"],
    [
      '{"12345678901234567890":"1e99\\"","n":12345678901234567890}',
      { "12345678901234567890": '1e99"', n: 12345678901234567890n },
    ],
    ['{"kennel-whole":"1","n":12345678901234567890}', { "kennel-whole": "1", n: 12345678901234567890n }],
    ['["\\\\",12345678901234567890,"\\\\\\""]', ["\\", 12345678901234567890n, '\\"']],
  ] as [string, unknown][]) {
    assert.deepEqual(json.parse(text), value, text);
    assert.deepEqual(json.parse(json.stringify(value)), value, text);
  }
});

test("a number that would be rounded is an error", () => {
  for (const text of ["9007199254740992.5", "1e200000", "[12345678901234567890.1]"]) {
    assert.throws(() => json.parse(text), RangeError, text);
  }
  for (const value of [2 ** 53, -(2 ** 60), 1e300, NaN, Infinity]) {
    assert.throws(() => json.stringify({ total: value }), /"total"/, String(value));
  }
});

test("text is written as JSON.stringify writes it", () => {
  class Point {
    constructor(readonly x: number) {}
    toJSON() {
      return { at: this.x };
    }
  }
  const proto = JSON.parse('{"__proto__":1}') as unknown;
  for (const value of [
    null,
    true,
    -0,
    1.5,
    "\u0000\u001f\u2028é🐶\ud800",
    [],
    {},
    [undefined, () => 1],
    { a: undefined, b: null },
    { date: new Date(0), point: new Point(2) },
    Object(5),
    [[[]]],
    { "": "x" },
    proto,
  ]) {
    assert.equal(json.stringify(value), JSON.stringify(value));
  }
});

test("what has no JSON form is an error", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  for (const value of [undefined, () => 1, Symbol("x"), circle]) {
    assert.throws(() => json.stringify(value), /has no JSON form/);
  }
  for (const text of ["", "{", "1 2", '{"a":01}']) assert.throws(() => json.parse(text), SyntaxError);
});

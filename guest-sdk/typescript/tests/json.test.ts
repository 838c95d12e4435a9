import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, json } from "kennel-projection";

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

test("a fraction with more digits than a number keeps is a decimal", () => {
  for (const text of [
    "0.1234567890123456789",
    "-9007199254740992.5",
    "1.00000000000000000001",
    "0.10000000000000000555",
    "1e-400",
    "12345678901234567e-17",
    "-0.00000000000000000000000000000000000000000000000000001234567890123456789",
  ]) {
    const value = json.parse(`{"a":[${text}]}`) as { a: json.Decimal[] };
    assert.ok(value.a[0] instanceof json.Decimal, text);
    assert.equal(json.stringify(value), `{"a":[${text}]}`);
    assert.equal(json.stringify(json.parse(text)), text);
    assert.equal(value.a[0].toNumber(), Number(text));
    assert.equal(`${value.a[0]}`, text);
    assert.throws(() => Number(value.a[0]) + 1, /more digits than a number holds: toNumber\(\) rounds it/);
  }
  for (const text of ["0.1", "0.30000000000000004", "1.10", "123456789012.34", "5e-324", "1.7976931348623157e-300"]) {
    assert.equal(json.parse(text), Number(text));
  }
  for (let from = 65_480; from < 65_560; from += 1) {
    const text = `["${"x".repeat(from)}",0.1234567890123456789,12345678901234567e-17]`;
    assert.equal(json.stringify(json.parse(text)), text);
  }
  const dotted = { version: "1.".repeat(100_000), id: "6a0e-4d0b-5e-4000", at: "2026-03-01T09:30:00.123456789Z" };
  assert.deepEqual(json.parse(JSON.stringify(dotted)), dotted);
  assert.equal(decode.number(json.parse("0.1234567890123456789")), 0.12345678901234568);
  assert.throws(() => decode.number(json.parse("9007199254740992.5")), /found the number 9007199254740992.5/);
  assert.throws(() => decode.int64(json.parse("0.1234567890123456789")), /expected a whole number/);
  assert.throws(() => new json.Decimal("1."), TypeError);
});

test("keys keep their order", () => {
  for (const text of [
    '{"b":1,"2":2,"1":{"1":0,"0":[{"x":1,"0":2}]},"":3}',
    '{"__proto__":1,"10":2,"9":12345678901234567890}',
    '{"2026-01":1,"a":2,"7":3}',
  ]) {
    assert.equal(json.stringify(json.parse(text)), text);
  }
  const changed = json.parse('{"b":1,"2":2,"1":3}') as Record<string, number>;
  delete changed["2"];
  Object.assign(changed, { a: 4, 0: 5, b: 6 });
  assert.equal(json.stringify(changed), '{"b":6,"1":3,"0":5,"a":4}');
  assert.equal(json.stringify(json.parse('{"b":1,"1":2,"b":3}')), '{"b":3,"1":2}');
});

test("text is read and written as deep as documents may be", () => {
  const deep = `${"[".repeat(1000)}${"]".repeat(1000)}`;
  assert.equal(json.stringify(json.parse(deep)), deep);
  const words = `${'{"a":[true,false,null,"x",'.repeat(499)}1${"]}".repeat(499)}`;
  assert.equal(json.stringify(json.parse(words)), words);
});

test("a number that would be rounded is an error", () => {
  assert.throws(() => json.parse("1e200000"), RangeError);
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

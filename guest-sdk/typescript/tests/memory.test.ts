import assert from "node:assert/strict";
import { test } from "node:test";

import { ReadModel } from "kennel-projection";
import { MemoryReadModel } from "kennel-projection/testing";

function modelOf(rows: Record<string, string>): MemoryReadModel {
  const model = new MemoryReadModel();
  for (const [key, document] of Object.entries(rows)) model.put("c", key, document);
  model.commit();
  return model;
}

function keys(rows: [string, string][]): string[] {
  return rows.map(([key]) => key);
}

test("a roll-back restores what was committed", () => {
  const model = modelOf({ changed: "1", deleted: "2" });
  model.put("c", "changed", "10");
  model.put("c", "changed", "100");
  model.delete("c", "deleted");
  model.put("c", "new", "3");
  model.increment("d", "new", "count", 1);
  model.rollBack();
  assert.deepEqual(model.documents("c"), [
    ["changed", "1"],
    ["deleted", "2"],
  ]);
  assert.deepEqual(model.documents("d"), []);
});

test("a scan is in the order of bytes", () => {
  const model = modelOf({ b: "1", aé: "2", ab: "3", aB: "4", a: "5", "a\uffff": "6", "a🐶": "7" });
  const scan = (after: string | null, prefix: string, limit = 9) => keys(model.scan("c", after, prefix, limit));
  assert.deepEqual(scan(null, ""), ["a", "aB", "ab", "aé", "a\uffff", "a🐶", "b"]);
  assert.deepEqual(scan(null, "a", 3), ["a", "aB", "ab"]);
  assert.deepEqual(scan("aB", "a", 1), ["ab"]);
  assert.deepEqual(scan("A", "b"), ["b"], "`after` may sort before the prefix");
  assert.deepEqual(scan("z", "a"), []);
  assert.deepEqual(scan(null, "", 0), []);
  assert.deepEqual(model.scan("none", null, "", 9), []);
  const many = modelOf(Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`k${at}`, "1"])));
  assert.equal(many.scan("c", null, "", 5000).length, 1000);
});

test("an increment leaves every other byte as it was", () => {
  for (const [before, after] of [
    [
      '{"owner":12345678901234567890123,"b":0.1234567890123456789,"n":1}',
      '{"owner":12345678901234567890123,"b":0.1234567890123456789,"n":2}',
    ],
    [' { "a" : 1.50 ,\t"n" : -7 , "z":[ ] }\n', ' { "a" : 1.50 ,\t"n" : -6 , "z":[ ] }\n'],
    ['{"s":"a\\"}{,\\\\","n":1}', '{"s":"a\\"}{,\\\\","n":2}'],
    ['{"a":{"n":5,"x":[1,{}]},"n":null}', '{"a":{"n":5,"x":[1,{}]},"n":1}'],
    ['{"\\u006e":4}', '{"\\u006e":5}'],
    ["{}", '{"n":1}'],
    [" { } ", ' {"n":1 } '],
    ['{"a":1 \n}', '{"a":1,"n":1 \n}'],
    ['{"n":1.20E+1}', '{"n":13}'],
    ['{"n":-0.0e7}', '{"n":1}'],
    ['{"n":9223372036854775806.0}', '{"n":9223372036854775807}'],
  ] as [string, string][]) {
    const model = modelOf({ k: before });
    model.increment("c", "k", "n", 1);
    assert.equal(model.get("c", "k"), after);
  }
});

test("large increments are exact", () => {
  for (const by of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 32n, 0n]) {
    const raw = new MemoryReadModel();
    new ReadModel(raw).increment("c", "k", "n", by);
    assert.equal(raw.get("c", "k"), `{"n":${by}}`);
  }
  const model = new ReadModel(new MemoryReadModel());
  assert.throws(() => model.increment("c", "k", "n", 2 ** 53), /use a bigint/);
  assert.throws(() => model.increment("c", "k", "n", 0.5), /not a whole number/);
  assert.throws(() => model.increment("c", "k", "n", 2n ** 63n), /leaves the range of 64 bits/);
});

test("get-many answers in the order of the keys", () => {
  const model = modelOf({ a: "1", b: "2" });
  assert.deepEqual(model.getMany("c", ["b", "none", "a", "b"]), ["2", null, "1", "2"]);
});

test("a call that breaks a rule ends the event", () => {
  const check = (expected: string, call: (model: MemoryReadModel) => unknown, kind = "invalid-call") => {
    const model = modelOf({ text: '"x"', object: '{"name":"x","full":9223372036854775807,"half":1.5,"large":1e19}' });
    const outcome = (attempt: () => unknown) => {
      try {
        attempt();
        return "no error";
      } catch (error) {
        assert.equal((error as { kind: string }).kind, kind);
        return (error as Error).message;
      }
    };
    const message = outcome(() => call(model));
    assert.ok(message.includes(expected), `${message} does not contain ${expected}`);
    if (message !== "no error")
      assert.equal(
        outcome(() => model.get("c", "text")),
        message,
        "no call works after it",
      );
  };
  const put = (document: string) => (model: MemoryReadModel) => model.put("c", "k", document);
  check("is not JSON", put("{"));
  check("is not JSON", put(""));
  check("more than 1048576", put(`"${"x".repeat(1 << 20)}"`));
  check("no error", put(`"${"x".repeat((1 << 20) - 2)}"`));
  check("no error", put("[".repeat(1000) + "]".repeat(1000)));
  check("1000 levels deep", put("[".repeat(1001) + "]".repeat(1001)));
  check('the key "a" more than once', put('{"a":1,"b":{"a":1},"\\u0061"  :2}'));
  check("no error", put('{"a":"a","b":["a","a"],"c":{"a":1}}'));
  check("NUL", put('{"a":"\\u0000"}'));
  check("surrogate", put('"\\ud800"'));
  check("surrogate", put('"\ud800"'));
  check("no error", put('["1e131071\\\\u0000",1e131071,1e-16383,0e400000,"\\ud83d\\udc36"]'));
  check("the number 1e131072", put("1e131072"));
  check("the number 1e-16384", put("1e-16384"));
  check("once its numbers are written out", put(`[${Array(9).fill("1e131071").join()}]`));
  check("not a valid collection name", (model) => model.delete("", "k"));
  check("not a valid collection name", (model) => model.scan("é".repeat(101), null, "", 1));
  check("not a valid document key", (model) => model.get("c", "k".repeat(1025)));
  check("not a valid document key", (model) => model.get("c", "a\0b"));
  check("not a valid document key", (model) => model.get("c", "\ud800"));
  check("1001 keys", (model) => model.getMany("c", Array(1001).fill("k")));
  check("not a valid name of a field", (model) => model.increment("c", "k", "", 1));
  check("is not a JSON object", (model) => model.increment("c", "text", "count", 1));
  check("is not a whole number", (model) => model.increment("c", "object", "name", 1));
  check("is not a whole number", (model) => model.increment("c", "object", "half", 1));
  check("beyond the range", (model) => model.increment("c", "object", "large", 1));
  check("the sum leaves the range", (model) => model.increment("c", "object", "full", 1));
  check("more than 500 collections", (model) => {
    for (let at = 0; at <= 500; at += 1) model.put(`c${at}`, "k", "1");
  });
  check(
    "more than 33554432",
    (model) => {
      for (let at = 0; at < 33; at += 1) model.put("c", `k${at}`, `"${"x".repeat((1 << 20) - 2)}"`);
      model.scan("c", null, "k", 100);
    },
    "memory-limit",
  );
  check("no error", (model) => model.put("c".repeat(200), "k".repeat(1024), "null"));
});

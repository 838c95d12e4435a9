import assert from "node:assert/strict";
import { test } from "node:test";

import { config, type Decoder, defineProjection, log, Retry } from "kennel-projection";
import { event, scenario } from "kennel-projection/testing";

interface Tally {
  count: number;
}

const tally: Decoder<Tally> = (value) => {
  const { count } = value as Tally;
  if (typeof count !== "number") throw new TypeError("count is missing");
  return { count };
};

class OwnError extends Error {}

const commanded = defineProjection<Record<string, any>, { d: any; copies: number[] }>({
  name: "commanded",
  version: "1.0.0",
  scope: { boundedContexts: ["Here", "There"], aggregateTypes: ["Thing"] },
  events: { Checked: tally },
  on: {
    Put: (e, model) => model.put("d", e.aggregateId, e.payload),
    Checked: (e, model) => model.put("d", e.aggregateId, e.payload),
    Update: (_, model) => model.update("d", "1", (found) => void (found.count += 1)),
    Replace: (_, model) => model.update("d", "1", () => ({ count: 50 })),
    Upsert: (_, model) => model.upsert("d", "1", { count: 0 }, (found) => void (found.count += 1)),
    Delete: (_, model) => model.delete("d", "1"),
    Bytes: (e, model) => model.put("d", "1", e.bytes.length),
    Copy(_, model) {
      const keys = model.scan("d", { limit: 10 }).map(([key]) => key);
      const found = model.getMany("d", [...keys, "none"]);
      model.put(
        "copies",
        "counts",
        found.map((document) => document?.count ?? -1),
      );
    },
    Describe: (e, model) =>
      model.put("d", "1", [
        e.position,
        e.boundedContext,
        e.aggregateType,
        e.aggregateId,
        e.aggregateVersion,
        e.eventId,
        e.metadata,
        e.createdAt,
      ]),
    HalfDone(_, model) {
      model.put("d", "1", "changed");
      model.increment("d", "2", "count");
      throw new Retry("later");
    },
    Fail: () => {
      throw new RangeError("number 7", { cause: new Error("the root") });
    },
    Throw: () => {
      throw "text";
    },
    HalfFail: () => {
      throw new Error("half \ud800 of a pair");
    },
    OwnFail: () => {
      throw new OwnError("one", { cause: new AggregateError([new OwnError("two"), "three"], "both") });
    },
    Obscure: () => {
      throw new Proxy(new Error(), {
        getPrototypeOf: () => {
          throw new Error("no");
        },
      });
    },
    BadDocument: (_, model) => model.put("d", "1", { deep: [1, NaN] }),
    BadKey: (_, model) => void model.get("d", undefined as never),
    HalfKey: (_, model) => void model.get("d", "\ud800"),
    BreakBound(_, model) {
      try {
        model.putText("d", "1", "no json");
      } catch {
        // The host does not return from the call, whatever the handler would do with an error.
      }
    },
    Async: (async () => undefined) as never,
    Configured(_, model) {
      log.warn(`limit ${config.get("limit")}`);
      model.put("d", "1", config.parsed("limit", Number) ?? null);
    },
    Random: (_, model) => model.put("d", "1", Math.random()),
    Print: () => {
      console.log("one", { two: [2n] }, null, undefined, new RangeError("three"));
      console.trace("four");
      log.error({ five: 5 });
    },
    Flood: () => {
      for (let line = 1; line <= 21; line += 1) log.info(`line ${line} ${"x".repeat(5000)}`);
    },
  },
  handle(e) {
    throw new Error(`unknown command ${e.type}`);
  },
});

test("documents are written, changed and removed", () => {
  scenario(commanded)
    .when(event("Put").json({ count: 1 }))
    .thenDocument("d", "1", { count: 1 })
    .when(event("Update"))
    .thenDocument("d", "1", { count: 2 })
    .when(event("Copy"))
    .thenDocument("copies", "counts", [2, -1])
    .when(event("Replace"))
    .thenDocument("d", "1", { count: 50 })
    .when(event("Delete"))
    .thenNoDocument("d", "1")
    .when(event("Upsert"))
    .thenCollection("d", { 1: { count: 1 } })
    .when(event("Upsert"))
    .thenCollection("d", { 1: { count: 2 } });
});

test("documents that do not fit are errors, null is one like any other", () => {
  const checked = defineProjection<Record<string, any>, { d: { count: number } | null }>({
    name: "checked",
    version: "1.0.0",
    documents: { d: tally },
    on: {
      Put: (e, model) => model.putText("d", "1", e.text ?? ""),
      Get: (_, model) => void model.get("d", "1"),
      GetMany: (_, model) => void model.getMany("d", ["1"]),
      Scan: (_, model) => void model.scan("d"),
      Upsert: (_, model) => model.upsert("d", "1", { count: 0 }, (found) => ({ count: (found?.count ?? 0) + 1 })),
    },
  });
  for (const type of ["Get", "GetMany", "Scan", "Upsert"]) {
    scenario(checked)
      .given(event("Put").json({ nam: 1 }))
      .when(event(type))
      .thenRejects("DocumentError: document d/1 cannot be read: count is missing");
    scenario(checked).when(event(type)).thenHandled();
  }
  const untyped = defineProjection({
    name: "untyped",
    version: "1.0.0",
    on: { Upsert: (e, model) => model.upsert("d", "1", null, (found) => (found === null ? e.payload : "seen")) },
  });
  scenario(untyped).given(event("Upsert").json(null)).when(event("Upsert").json(1)).thenDocument("d", "1", 1);
});

test("payloads are read as JSON, checked, and as bytes", () => {
  const after = scenario(commanded)
    .when(event("Put").text('{"a":9007199254740993}'))
    .thenDocument("d", "1", { a: 9007199254740993n });
  assert.equal(after.text("d", "1"), '{"a":9007199254740993}');
  after
    .when(event("Bytes").binary([0xff, 0xfe, 0xfd]))
    .thenDocument("d", "1", 3)
    .when(event("Bytes").text("no json"))
    .thenDocument("d", "1", 7)
    .when(event("Checked").json({ count: 4, more: 1 }))
    .thenDocument("d", "1", { count: 4 })
    .when(event("Checked").schema(3).json({ nam: "Ada" }))
    .thenRejects("the payload of Checked (version 3) cannot be read: count is missing")
    .when(event("Put").binary([0xff, 0xfe]))
    .thenRejects("it is 2 bytes that are not JSON");
});

test("a failed event leaves no trace, and its reason has type, message, stack and cause", () => {
  const kept = () => scenario(commanded).given(event("Put").json("kept"));
  for (const after of [
    kept().when(event("HalfDone")).thenRetries("later"),
    kept().when(event("Fail")).thenRejects("RangeError: number 7\n    at "),
    kept().when(event("Fail")).thenRejects("projection.test"),
    kept().when(event("Fail")).thenRejects("caused by Error: the root\n    at "),
    kept().when(event("Throw")).thenRejects("a value that is no Error was thrown: text"),
    kept().when(event("HalfFail")).thenRejects("Error: half \ufffd of a pair\n    at "),
    kept().when(event("OwnFail")).thenRejects("OwnError: one\n    at "),
    kept().when(event("OwnFail")).thenRejects("caused by AggregateError: both\n    at "),
    kept().when(event("OwnFail")).thenRejects("one of them OwnError: two\n    at "),
    kept().when(event("OwnFail")).thenRejects("one of them a value that is no Error was thrown: three"),
    kept().when(event("Obscure")).thenRejects("something was thrown that cannot be described"),
    kept()
      .when(event("BadDocument"))
      .thenRejects('DocumentError: document d/1 has no JSON form: NaN in "1" has no JSON form'),
    kept().when(event("BadKey")).thenRejects("as strings, not undefined"),
    kept().when(event("HalfKey")).thenRejects("RangeError: text contains half of a surrogate pair"),
    kept().when(event("BreakBound")).thenTraps("document d/1 is not JSON"),
    kept().when(event("Async")).thenRejects("the handler of Async returned a promise"),
    kept().when(event("Oops")).thenRejects("unknown command Oops"),
  ]) {
    after.thenCollection("d", { 1: "kept" });
  }
  scenario(commanded).when(event("Update")).thenRejects("there is no document d/1 to change");
});

test("settings and log lines are seen", () => {
  scenario(commanded)
    .withSetting("limit", "12")
    .when(event("Configured"))
    .thenDocument("d", "1", 12)
    .thenLogs("warn", "limit 12");
  scenario(commanded).when(event("Configured")).thenDocument("d", "1", null);
  scenario(commanded)
    .withSetting("limit", "many")
    .when(event("Configured"))
    .thenRejects('the setting limit = "many" cannot be read');
  scenario(commanded)
    .when(event("Print"))
    .thenLogs("info", 'one {"two":[2]} null undefined RangeError: three')
    .thenLogs("debug", "four")
    .thenLogs("error", '{"five":5}');
  const flood = scenario(commanded)
    .when(event("Flood"))
    .thenLogs("info", `line 20 ${"x".repeat(4088)}`);
  assert.throws(() => flood.thenLogs("info", "line 21"), /no info line contains/);
  assert.throws(() => flood.thenLogs("info", "x".repeat(4090)), /no info line contains/);
});

test("random numbers are the same in every run", () => {
  const number = () => scenario(commanded).given(event("Random")).document("d", "1");
  assert.equal(number(), number());
  assert.notEqual(number(), scenario(commanded).given(event("Random").position(2)).document("d", "1"));
});

test("what a test does not say is filled in", () => {
  scenario(commanded)
    .given(event("Delete"), event("Delete").of("2").position(10))
    .when(event("Describe").metadata({ by: "me" }))
    .thenDocument("d", "1", [
      11,
      "Here",
      "Thing",
      "1",
      2,
      "00000000-0000-4000-8000-00000000000b",
      '{"by":"me"}',
      "2026-01-01T00:00:10Z",
    ]);
});

test("events out of scope do not arrive", () => {
  scenario(commanded)
    .when(event("Fail").boundedContext("Elsewhere"))
    .thenOutOfScope()
    .when(event("Fail").aggregateType("Nothing"))
    .thenOutOfScope()
    .when(event("Delete").boundedContext("There"))
    .thenHandled();
});

test("an unexpected outcome fails the test", () => {
  assert.throws(
    () => scenario(commanded).when(event("Oops")).thenNoDocument("d", "1"),
    /the event was expected to be handled, but it was rejected: Error: unknown command Oops/,
  );
  assert.throws(() => scenario(commanded).given(event("Oops")), /expected to be handled/);
  assert.throws(
    () => scenario(commanded).when(event("Delete")).thenRejects(""),
    /expected the event to be rejected with "", but it was handled/,
  );
  assert.throws(() => scenario(commanded).when(event("Delete")).thenDocument("d", "1", 1), /there is no document d\/1/);
});

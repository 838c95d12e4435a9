import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, Event, Timestamp } from "kennel-projection";

const RAW = {
  position: 7,
  boundedContext: "Sales",
  aggregateType: "Order",
  aggregateId: "o-1",
  aggregateVersion: 2,
  eventId: "00000000-0000-4000-8000-000000000007",
  eventType: "OrderPlaced",
  eventVersion: 3,
  payload: { tag: "json" as const, val: '{"n":9007199254740993}' },
  metadata: null,
  traceId: "t",
  correlationId: null,
  causationId: null,
  createdAt: { seconds: -1, nanoseconds: 999_999_999 },
};

test("an event has what the log has", () => {
  const event = new Event(RAW);
  assert.deepEqual(event.payload, { n: 9007199254740993n });
  assert.equal(event.text, '{"n":9007199254740993}');
  assert.equal(Buffer.from(event.bytes).toString(), event.text);
  assert.deepEqual([event.metadata, event.traceId, event.createdAt.unixNanoseconds()], [undefined, "t", -1n]);
});

test("bytes that are no JSON arrive as they are", () => {
  const event = new Event({ ...RAW, payload: { tag: "binary", val: [0xff, 0] } });
  assert.deepEqual(event.bytes, Uint8Array.from([0xff, 0]));
  assert.equal(event.text, undefined);
  assert.throws(
    () => event.payload,
    /payload of OrderPlaced \(version 3\) cannot be read: it is 2 bytes that are not JSON/,
  );
});

test("the bytes of text are UTF-8", () => {
  const val = JSON.stringify("a\u007f\u0080é\u07ff\u0800€\uffff🐶\u{10ffff}");
  assert.deepEqual(Buffer.from(new Event({ ...RAW, payload: { tag: "json", val } }).bytes), Buffer.from(val));
});

test("a 64-bit number that is not exact is an error", () => {
  assert.throws(() => new Event({ ...RAW, position: 2 ** 53 }), /the position of the event is beyond 2\^53 - 1/);
  assert.throws(() => new Event({ ...RAW, aggregateVersion: 2 ** 63 }), /aggregate version/);
  assert.throws(() => new Event({ ...RAW, createdAt: { seconds: -(2 ** 60), nanoseconds: 0 } }), /time in seconds/);
});

test("times are exact, and dates have milliseconds", () => {
  for (const [seconds, nanoseconds, text, milliseconds] of [
    [0, 0, "1970-01-01T00:00:00Z", 0],
    [1_767_225_600, 120_000_000, "2026-01-01T00:00:00.120Z", 1_767_225_600_120],
    [1, 1_000, "1970-01-01T00:00:01.000001Z", 1000],
    [1, 999_999_999, "1970-01-01T00:00:01.999999999Z", 1999],
    [-1, 999_999_999, "1969-12-31T23:59:59.999999999Z", -1],
    [951_782_400, 0, "2000-02-29T00:00:00Z", 951_782_400_000],
    [-62_135_596_801, 0, "0000-12-31T23:59:59Z", -62_135_596_801_000],
    [-62_167_219_201, 0, "-0001-12-31T23:59:59Z", -62_167_219_201_000],
    [253_402_300_800, 0, "+10000-01-01T00:00:00Z", 253_402_300_800_000],
    [-8_640_000_000_000, 0, "-271821-04-20T00:00:00Z", -8.64e15],
  ] as [number, number, string, number][]) {
    const time = new Timestamp(seconds, nanoseconds);
    assert.equal(time.toString(), text);
    assert.equal(JSON.stringify({ time }), JSON.stringify({ time: text }));
    assert.equal(time.toDate().getTime(), milliseconds);
  }
  const date = new Date("1969-07-20T20:17:40.123Z");
  assert.equal(Timestamp.fromDate(date).toDate().getTime(), date.getTime());
  assert.equal(new Timestamp(2 ** 53 - 1).toString(), "+285428751-11-12T07:36:31Z");
  assert.throws(() => new Timestamp(1e14).toDate(), /beyond the range of Date/);
  assert.throws(() => new Timestamp(0, 1e9), RangeError);
  assert.throws(() => new Timestamp(0.5), RangeError);
});

test("decoders check payloads and say where they do not fit", () => {
  const order = decode.object({
    id: decode.text,
    lines: decode.list(decode.object({ quantity: decode.int64, note: decode.optional(decode.text) })),
    status: decode.oneOf("open", "paid"),
    isGift: decode.boolean,
    weight: decode.number,
  });
  const value = { id: "o", lines: [{ quantity: 2n ** 60n, x: 1 }], status: "paid", isGift: true, weight: 0.5 };
  assert.deepEqual(order(value), { ...value, lines: [{ quantity: 2n ** 60n, note: undefined }] });
  assert.throws(
    () => order({ ...value, lines: [{ quantity: 0.5 }] }),
    /^TypeError: lines: \[0\]: quantity: 0.5 is not a whole/,
  );
  assert.throws(() => order({ ...value, id: 17 }), /^TypeError: id: expected a string, found 17$/);
  assert.throws(() => order({ ...value, status: "lost" }), /expected one of open, paid, found "lost"/);
  assert.throws(() => order({ ...value, weight: 2n ** 60n }), /up to 2\^53/);
  assert.throws(() => order([]), /expected an object, found an array/);
  assert.throws(() => decode.object({ toString: decode.text })({}), /expected a string, found nothing/);
});

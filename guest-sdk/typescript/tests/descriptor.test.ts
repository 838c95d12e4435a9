import assert from "node:assert/strict";
import { test } from "node:test";

import { defineProjection, type ProjectionDefinition } from "kennel-projection";
import { scenario } from "kennel-projection/testing";

type Definition = ProjectionDefinition<Record<string, any>, Record<string, any>>;

const MINIMAL: Definition = { name: "n", version: "1", handle: () => undefined };

test("a definition becomes the descriptor of the contract", () => {
  const { descriptor } = defineProjection({
    name: "orders",
    version: "1.2.3",
    partitioning: "single",
    scope: { boundedContexts: ["Sales"] },
    collections: {
      orders: {
        columns: { status: "text", city: { path: "customer.address.city", type: "text" } },
        indexes: [["city", "status"], { columns: ["status"], unique: true }],
      },
      bare: {},
    },
    on: { OrderPlaced: () => undefined, OrderPaid: () => undefined },
  });
  assert.deepEqual(descriptor, {
    name: "orders",
    version: "1.2.3",
    scope: { boundedContexts: ["Sales"], aggregateTypes: [], eventTypes: ["OrderPlaced", "OrderPaid"] },
    partitioning: "single",
    collections: [
      {
        name: "orders",
        columns: [
          { name: "status", path: "status", dataType: "text" },
          { name: "city", path: "customer.address.city", dataType: "text" },
        ],
        indexes: [
          { columns: ["city", "status"], unique: false },
          { columns: ["status"], unique: true },
        ],
      },
      { name: "bare", columns: [], indexes: [] },
    ],
  });
  assert.deepEqual(defineProjection(MINIMAL).descriptor.scope.eventTypes, []);
});

test("a definition with a mistake is an error at once", () => {
  for (const [wrong, message] of [
    [{ ...MINIMAL, nam: "x" }, /a projection has no "nam"/],
    [{ ...MINIMAL, handle: undefined }, /give it `on` or `handle`/],
    [{ ...MINIMAL, version: 1 }, /a name and a version/],
    [{ ...MINIMAL, partitioning: "all" }, /"by-aggregate" or "single"/],
    [{ ...MINIMAL, scope: { eventType: [] } }, /scope has no "eventType"/],
    [{ ...MINIMAL, scope: { eventTypes: "Placed" } }, /expected an array of strings/],
    [{ ...MINIMAL, collections: { c: { columns: { a: "string" } } } }, /column a of c/],
  ] as [unknown, RegExp][]) {
    assert.throws(() => defineProjection(wrong as Definition), message);
  }
});

test("the test kit keeps the rules of the contract for descriptors", () => {
  const check = (part: Partial<Definition>, message?: RegExp) => {
    const run = () => scenario(defineProjection({ ...MINIMAL, ...part }));
    if (message === undefined) run();
    else assert.throws(run, message);
  };
  const columns = (column: string, path = "p") => ({ c: { columns: { [column]: { path, type: "text" as const } } } });
  check({ name: "é".repeat(100), scope: { eventTypes: ["x".repeat(200)] } });
  check({ name: "" }, /the name of the projection/);
  check({ version: "1\n" }, /the version of the projection/);
  check({ scope: { eventTypes: ["x".repeat(201)] } }, /a name of eventTypes/);
  check({ scope: { aggregateTypes: Array(1001).fill("x") } }, /more than 1000/);
  check({ collections: columns("a_1", 'prices."net.eur".größe'.replace("größe", '"größe"')) });
  check({ collections: columns("Key") }, /no name of a column/);
  check({ collections: columns("ctid") }, /no name of a column/);
  for (const path of ["", "a..b", "größe", '"', "a.", Array(17).fill("a").join("."), "a".repeat(201)]) {
    check({ collections: columns("a", path) }, /no path of a column/);
  }
  const indexed = (...indexes: string[][]) => ({ c: { columns: { a: "text", j: "json" } as const, indexes } });
  check({ collections: indexed(["a"]) });
  check({ collections: indexed(["b"]) }, /which is no column/);
  check({ collections: indexed(["j"]) }, /has no order/);
  check({ collections: indexed(["a", "a"]) }, /names a column twice/);
  check({ collections: indexed([]) }, /has no column/);
  check({ collections: indexed(["a"], ["a"]) }, /declared twice/);
  check({ collections: Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`c${at}`, {}])) }, /more than 100/);
});

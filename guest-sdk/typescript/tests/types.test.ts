import { test } from "node:test";

import { decode, type Decoded, defineProjection, type Whole } from "kennel-projection";
import { event, scenario } from "kennel-projection/testing";

const events = {
  Opened: decode.object({ owner: decode.text }),
  Moved: decode.object({ cents: decode.int64, note: decode.optional(decode.text) }),
};

type Events = { [Type in keyof typeof events]: Decoded<(typeof events)[Type]> };
type Documents = { accounts: { owner: string; cents: Whole } };

// The compiler checks this file: each line that it must reject says so.
const accounts = defineProjection<Events, Documents>({
  name: "accounts",
  version: "1.0.0",
  events,
  // @ts-expect-error: there is no such event
  on: { Closed: () => undefined },
  handle(event, model) {
    if (event.type === "Opened") {
      const { owner } = event.payload;
      model.put("accounts", event.aggregateId, { owner, cents: 0 });
      // @ts-expect-error: the payload of another event
      void event.payload.cents;
      // @ts-expect-error: there is no such collection
      model.delete("account", "unused");
    } else {
      const { cents, note } = event.payload;
      const isNoted: string | undefined = note;
      model.increment("accounts", event.aggregateId, "cents", cents);
      // @ts-expect-error: the document may be missing
      void (() => model.get("accounts", "x").owner);
      // @ts-expect-error: a field is missing
      void (() => model.put("accounts", "x", { owner: isNoted ?? "" }));
    }
  },
});

const untyped = defineProjection({
  name: "untyped",
  version: "1.0.0",
  events: { Opened: decode.object({ owner: decode.text }) },
  on: {
    Opened(event, model) {
      model.put("accounts", event.aggregateId, { owner: event.payload.owner });
    },
    Closed: (event, model) => model.delete("accounts", event.aggregateId),
  },
});

test("types can be left out", () => {
  scenario(untyped)
    .given(event("Opened").of("a").json({ owner: "Ada" }))
    .when(event("Closed").of("a"))
    .thenNoDocument("accounts", "a");
});

test("events and documents are typed, and narrowed by the type of the event", () => {
  scenario(accounts)
    .given(event("Opened").of("a").json({ owner: "Ada" }))
    .when(
      event("Moved")
        .of("a")
        .json({ cents: 2n ** 60n }),
    )
    .thenDocument("accounts", "a", { owner: "Ada", cents: 2n ** 60n });
});

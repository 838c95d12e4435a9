import { test } from "node:test";
import { event, scenario } from "kennel-projection/testing";
import loyalty from "./loyalty.js";

test("a thousand points make a gold member", () => {
  scenario(loyalty)
    .given(event("PointsEarned").of("ada").json({ points: 999 }))
    .when(event("PointsEarned").of("ada").json({ points: 1 }))
    .thenDocument("members", "ada", { points: 1000, gold: true })
    .when(event("PointsEarned").of("ada").json({ points: "many" }))
    .thenRejects("expected a number");
});

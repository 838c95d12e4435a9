import { decode, defineProjection } from "kennel-projection";

type Events = { PointsEarned: { points: number } };
type Documents = { members: { points: number; gold: boolean } };

export default defineProjection<Events, Documents>({
  name: "loyalty",
  version: "1.0.0",
  events: { PointsEarned: decode.object({ points: decode.number }) },
  on: {
    PointsEarned(event, model) {
      model.upsert("members", event.aggregateId, { points: 0, gold: false }, (member) => {
        member.points += event.payload.points;
        member.gold = member.points >= 1000;
      });
    },
  },
});

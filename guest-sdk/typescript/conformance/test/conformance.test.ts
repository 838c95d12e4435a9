//! Plays the files of guest-sdk/conformance in the test kit: what the kit makes of them is what the host makes of them.
//! Limits of time and memory, clocks, and the text of payloads are for the host alone.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { json } from "kennel-projection";
import { event, type EventBuilder, type Scenario, scenario } from "kennel-projection/testing";

import conformance from "../src/conformance.js";

/** The folder beside this package, seen from the compiled test. */
const FILES = new URL("../../../../conformance/", import.meta.url);
const GROUPS = [
  "values",
  "numbers",
  "exact-or-rejected",
  "typed",
  "read-model",
  "failures",
  "throw",
  "logs",
  "settings",
];

type Level = "debug" | "info" | "warn" | "error";
type Documents = Record<string, Record<string, unknown>>;

interface Line {
  aggregate_id: string;
  event_id: string;
  event_type: string;
  payload?: unknown;
  payload_base64?: string;
}

interface Failure {
  position: number;
  kind: string | string[];
  contains?: string[];
}

interface Expectations {
  config?: Record<string, string>;
  documents: Documents;
  exact_or_rejected?: { position: number; collection: string; key: string; document: unknown }[];
  failures?: Failure[];
  logs?: { position: number; level: Level; message: string }[];
}

for (const group of GROUPS) {
  const events = fileURLToPath(new URL(`${group}.events.jsonl`, FILES));
  test(
    `the group ${group}`,
    { skip: existsSync(events) ? false : "this copy of the package is without the files" },
    () => {
      const lines = readFileSync(events, "utf8").trimEnd().split("\n");
      const expected = json.parse(readFileSync(new URL(`${group}.expected.json`, FILES), "utf8")) as Expectations;
      play(
        lines.map((line) => json.parse(line) as Line),
        expected,
      );
    },
  );
}

function play(
  lines: Line[],
  { config = {}, documents, exact_or_rejected = [], failures = [], logs = [] }: Expectations,
) {
  const played = scenario(conformance);
  for (const [key, value] of Object.entries(config)) played.withSetting(key, value);
  lines.forEach((line, at) => {
    const position = at + 1;
    played.when(built(line));
    for (const { level, message } of logs.filter((log) => log.position === position)) played.thenLogs(level, message);
    const exact = exact_or_rejected.find((document) => document.position === position);
    const failure = failures.find((failure) => failure.position === position);
    if (exact !== undefined && !isHandled(played)) return;
    if (exact !== undefined) assertText(played, exact.collection, exact.key, exact.document);
    else if (failure === undefined) played.thenHandled();
    else assertFails(played, failure);
  });
  for (const [collection, members] of Object.entries(documents)) {
    for (const [key, document] of Object.entries(members)) assertText(played, collection, key, document);
  }
}

function built(line: Line): EventBuilder {
  const made = event(line.event_type).of(line.aggregate_id).id(line.event_id);
  if (line.payload_base64 === undefined) return made.json(line.payload);
  return made.binary(Buffer.from(line.payload_base64, "base64"));
}

function isHandled(played: Scenario): boolean {
  try {
    played.thenHandled();
    return true;
  } catch {
    played.thenRejects("");
    return false;
  }
}

function assertFails(played: Scenario, { kind, contains = [""] }: Failure): void {
  for (const text of contains) {
    if (kind === "retry") played.thenRetries(text);
    else if (kind === "invalid-call") played.thenTraps("");
    else played.thenRejects(text);
  }
}

/** Equal by value, keys in the same order. */
function assertText(played: Scenario, collection: string, key: string, expected: unknown): void {
  const text = played.text(collection, key);
  assert.equal(text === undefined ? text : json.stringify(json.parse(text)), json.stringify(expected));
}

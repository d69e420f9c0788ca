import { expect, describe as group, test } from "vitest";
import { blank, type Draft, describe, fill, type Json, read, type Schema } from "./schema_forms";

const form = (schema: Schema) => {
  const field = describe(schema);
  return { field, read: (draft: Draft) => read(field, draft) };
};

const ORDER: Schema = {
  type: "object",
  properties: {
    card: { type: "string" },
    amount: { type: "integer", minimum: 1 },
    lines: { type: "array", items: { $ref: "#/$defs/Line" } },
    note: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    kind: { enum: ["sale", "gift"] },
  },
  required: ["card", "amount", "lines"],
  $defs: { Line: { type: "object", properties: { price: { type: "number" } }, required: ["price"] } },
};

group("what a form reads as", () => {
  test("required fields are there from the beginning, the others are left out", () => {
    const { field } = form(ORDER);
    expect(Object.keys((blank(field) as Extract<Draft, { kind: "object" }>).given)).toEqual([
      "card",
      "amount",
      "lines",
    ]);
  });

  test.each<[Json]>([
    [{ card: "ada", amount: 3, lines: [] }],
    [{ card: "ada", amount: 3, lines: [{ price: 1.5 }, { price: 2 }], note: null, kind: "gift" }],
    [{ card: "", amount: 1, lines: [], note: "no hurry" }],
  ])("a remembered input reads as it was: %j", (value) => {
    const { field, read: reads } = form(ORDER);
    expect(reads(fill(field, value))).toEqual({ value, problems: [] });
  });

  test("problems carry the path as the form shows it", () => {
    const { field, read: reads } = form(ORDER);
    const draft = fill(field, { card: "ada", amount: 3, lines: [{ price: 1 }, {}] });
    expect(reads(draft).problems).toEqual([{ path: "lines[1].price", message: "is needed" }]);
  });
});

group("numbers stay text until they are read", () => {
  test.each([
    ["7", 7, null],
    [" 7 ", 7, null],
    ["", undefined, "is needed"],
    ["seven", undefined, '"seven" is not a number'],
    ["7.5", undefined, "must be a whole number"],
    ["0", undefined, "must be at least 1"],
    ["90071992547409931", undefined, "is too large to be sent from a browser unharmed"],
  ])("%j", (text, value, problem) => {
    const reading = read(describe({ type: "integer", minimum: 1 }), { kind: "number", text });
    expect(reading.value).toBe(value);
    expect(reading.problems.map((one) => one.message)).toEqual(problem === null ? [] : [problem]);
  });
});

group("every schema has a field", () => {
  test.each<[string, Schema, string]>([
    ["nothing at all", {}, "json"],
    ["any object", { type: "object" }, "json"],
    ["a map", { type: "object", additionalProperties: { type: "integer" } }, "map"],
    ["a tuple", { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }] }, "json"],
    ["two types", { type: ["string", "null"] }, "union"],
    ["one variant", { anyOf: [{ type: "boolean" }] }, "boolean"],
    ["a constant", { const: 3 }, "choice"],
    ["a reference to nowhere", { $ref: "#/$defs/Gone" }, "json"],
  ])("%s", (_, schema, kind) => {
    expect(describe(schema).kind).toBe(kind);
  });

  test("one that contains itself ends in JSON", () => {
    const tree: Schema = {
      $ref: "#/$defs/Tree",
      $defs: { Tree: { type: "object", properties: { left: { $ref: "#/$defs/Tree" } } } },
    };
    const field = describe(tree);
    expect(JSON.stringify(field)).toContain('"json"');
    const value = { left: { left: {} } };
    expect(read(field, fill(field, value)).value).toEqual(value);
  });
});

test("JSON that does not parse says where", () => {
  const reading = read(describe({}), { kind: "json", text: '{"a": }' });
  expect(reading.problems[0]!.message).toMatch(/^is not JSON: /);
});

test("a key that is there twice is a problem", () => {
  const field = describe({ type: "object", additionalProperties: { type: "string" } });
  const entry: [string, Draft] = ["a", { kind: "text", text: "x" }];
  expect(read(field, { kind: "map", entries: [entry, entry] }).problems[0]!.message).toBe('the key "a" is there twice');
});

test("a draft of another shape is told, not sent", () => {
  expect(read(describe({ type: "string" }), { kind: "boolean", is: true }).problems).toHaveLength(1);
});

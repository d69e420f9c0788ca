import { expect, test } from "vitest";
import { writeType } from "./python_types";

test.each([
  [{ type: "string" }, "str"],
  [{ type: "array", items: { type: "string" } }, "list[str]"],
  [{ type: "array" }, "list"],
  [{ type: "array", items: {} }, "list[Any]"],
  [{ type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], items: false }, "tuple[int, str]"],
  [
    {
      anyOf: [
        { type: "object", additionalProperties: { type: "array", items: { type: "integer" } } },
        { type: "null" },
      ],
    },
    "dict[str, list[int]] | None",
  ],
  [{ type: ["string", "null"] }, "str | None"],
  [{ enum: ["a", 1, true, null] }, 'Literal["a", 1, True, None]'],
  [{ const: "a" }, 'Literal["a"]'],
  [{ $ref: "#/$defs/shop.Order" }, "Order"],
  [{ type: "object", title: "Order", properties: { id: { type: "string" } } }, "Order"],
  [{ type: "string", format: "date-time" }, "datetime"],
  [{ type: "string", contentEncoding: "base64" }, "bytes"],
  [{}, ""],
])("%j is written %s", (schema, text) => expect(writeType(schema)).toBe(text));

test("a schema that contains itself ends", () => {
  const list: Record<string, unknown> = { type: "array" };
  list.items = list;
  expect(writeType(list)).toBe("list[list[list[list[list[…]]]]]");
});

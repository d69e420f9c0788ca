// A JSON Schema's type as Python writes it, for signatures: `list[str]`, `dict[str, int] | None`, `Literal["a", "b"]`.

import type { Schema } from "./schema_forms";

const PLAIN: Record<string, string> = {
  string: "str",
  integer: "int",
  number: "float",
  boolean: "bool",
  array: "list",
  object: "dict",
  null: "None",
};
const FORMATS: Record<string, string> = {
  "date-time": "datetime",
  date: "date",
  time: "time",
  duration: "timedelta",
  uuid: "UUID",
};
const DEEPEST = 4;

/** Write a type; empty where the schema says none. */
export function writeType(schema: Schema, depth = 0): string {
  if (depth > DEEPEST) return "…";
  const inner = (one: unknown) => (isSchema(one) && writeType(one, depth + 1)) || "Any";
  if (typeof schema.$ref === "string") return nameOf(schema.$ref);
  if ("const" in schema) return schema.const === null ? "None" : `Literal[${writeValue(schema.const)}]`;
  if (Array.isArray(schema.enum)) return `Literal[${schema.enum.map(writeValue).join(", ")}]`;
  const variants = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(variants)) return unite(variants.map(inner));
  if (Array.isArray(schema.allOf) && schema.allOf.length === 1) return inner(schema.allOf[0]);
  if (Array.isArray(schema.type)) return unite(schema.type.map((type) => inner({ ...schema, type })));
  if (typeof schema.type !== "string") return "";
  if (schema.type === "array") {
    if (Array.isArray(schema.prefixItems)) return `tuple[${schema.prefixItems.map(inner).join(", ")}]`;
    return isSchema(schema.items) ? `list[${inner(schema.items)}]` : "list";
  }
  if (schema.type === "object") {
    if (typeof schema.title === "string" && schema.properties) return schema.title;
    return isSchema(schema.additionalProperties) ? `dict[str, ${inner(schema.additionalProperties)}]` : "dict";
  }
  if (schema.type === "string") {
    if (schema.contentEncoding === "base64") return "bytes";
    return FORMATS[String(schema.format)] ?? "str";
  }
  return PLAIN[schema.type] ?? schema.type;
}

function unite(types: readonly string[]): string {
  return [...new Set(types)].join(" | ");
}

function writeValue(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}

/** `#/$defs/Order` is `Order`; a name in a module is its last part. */
function nameOf(ref: string): string {
  return ref.split("/").at(-1)!.split(".").at(-1)!;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

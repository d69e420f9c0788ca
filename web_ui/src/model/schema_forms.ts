// Forms from JSON Schema: what a workflow takes, what a hook is sent.
//
//   describe(schema) -> Field     what to draw
//   blank(field) -> Draft         what the user has typed so far: text stays text until it is read
//   read(field, draft) -> value, or the problems with their paths
//   fill(field, value) -> Draft   the other way, for remembered inputs
//
// 1. Whatever a schema says, there is a field: what is not understood is edited as JSON.
// 2. What is left out is not sent, so that the code's own defaults hold.
// 3. The server checks again, and has the last word.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Schema = Record<string, unknown>;

export type Field =
  | { kind: "text"; isLong: boolean; format: string | null; pattern: string | null; note: string | null }
  | { kind: "number"; isInteger: boolean; low: number | null; high: number | null; note: string | null }
  | { kind: "boolean"; note: string | null }
  | { kind: "choice"; values: Json[]; note: string | null }
  | { kind: "list"; item: Field; note: string | null }
  | { kind: "map"; item: Field; note: string | null }
  | { kind: "object"; properties: Property[]; note: string | null }
  | { kind: "union"; variants: { label: string; field: Field }[]; note: string | null }
  | { kind: "json"; note: string | null };

export interface Property {
  name: string;
  isRequired: boolean;
  /** What the code takes where this is left out, as text. */
  fallback: string | null;
  field: Field;
}

export type Draft =
  | { kind: "text"; text: string }
  | { kind: "number"; text: string }
  | { kind: "boolean"; is: boolean }
  | { kind: "choice"; index: number }
  | { kind: "list"; items: Draft[] }
  | { kind: "map"; entries: [string, Draft][] }
  | { kind: "object"; given: Record<string, Draft> }
  | { kind: "union"; index: number; draft: Draft }
  | { kind: "json"; text: string };

export interface Problem {
  path: string;
  message: string;
}

const DEEPEST = 6;

/** Describe a schema as fields. `$ref`s are followed into `$defs`; a schema that contains itself ends in JSON. */
export function describe(schema: Schema | null | undefined, root: Schema = schema ?? {}, depth = 0): Field {
  if (!schema || depth > DEEPEST) return { kind: "json", note: null };
  const note = textOf(schema.description);
  if (typeof schema.$ref === "string") {
    const found = follow(schema.$ref, root);
    return found ? { ...describe(found, root, depth + 1) } : { kind: "json", note };
  }
  if ("const" in schema) return { kind: "choice", values: [schema.const as Json], note };
  if (Array.isArray(schema.enum)) return { kind: "choice", values: schema.enum as Json[], note };
  const variants = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (Array.isArray(variants)) return describeUnion(variants, root, depth, note);
  if (Array.isArray(schema.allOf) && schema.allOf.length === 1) return describe(schema.allOf[0] as Schema, root, depth);
  if (Array.isArray(schema.type)) {
    return describeUnion(
      schema.type.map((type) => ({ ...schema, type })),
      root,
      depth,
      note,
    );
  }
  switch (schema.type) {
    case "string":
      return {
        kind: "text",
        isLong: Number(schema.minLength ?? 0) > 200 || schema.format === "textarea",
        format: textOf(schema.format) ?? textOf(schema.contentEncoding),
        pattern: textOf(schema.pattern),
        note,
      };
    case "integer":
    case "number":
      return {
        kind: "number",
        isInteger: schema.type === "integer",
        low: numberOf(schema.minimum),
        high: numberOf(schema.maximum),
        note,
      };
    case "boolean":
      return { kind: "boolean", note };
    case "null":
      return { kind: "choice", values: [null], note };
    case "array":
      return Array.isArray(schema.prefixItems)
        ? { kind: "json", note }
        : { kind: "list", item: describe(schema.items as Schema | undefined, root, depth + 1), note };
    case "object":
      return describeObject(schema, root, depth, note);
  }
  return { kind: "json", note };
}

function describeObject(schema: Schema, root: Schema, depth: number, note: string | null): Field {
  const properties = schema.properties as Record<string, Schema> | undefined;
  if (properties && Object.keys(properties).length > 0) {
    const required = new Set(Array.isArray(schema.required) ? schema.required : []);
    return {
      kind: "object",
      note,
      properties: Object.entries(properties).map(([name, one]) => ({
        name,
        isRequired: required.has(name),
        fallback: "default" in one ? JSON.stringify(one.default) : null,
        field: describe(one, root, depth + 1),
      })),
    };
  }
  const more = schema.additionalProperties;
  if (properties && more === false) return { kind: "object", properties: [], note };
  if (more && typeof more === "object") return { kind: "map", item: describe(more as Schema, root, depth + 1), note };
  return { kind: "json", note };
}

function describeUnion(variants: Schema[], root: Schema, depth: number, note: string | null): Field {
  if (variants.length === 1) return describe(variants[0], root, depth + 1);
  const described = variants.map((one) => ({ label: nameOf(one, root), field: describe(one, root, depth + 1) }));
  return { kind: "union", variants: described, note };
}

function nameOf(schema: Schema, root: Schema): string {
  if (typeof schema.title === "string") return schema.title;
  if (typeof schema.$ref === "string") {
    const found = follow(schema.$ref, root);
    return textOf(found?.title) ?? schema.$ref.split("/").at(-1)!;
  }
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (typeof schema.type === "string") return typeof schema.format === "string" ? schema.format : schema.type;
  return "any";
}

function follow(ref: string, root: Schema): Schema | null {
  if (!ref.startsWith("#/")) return null;
  let found: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[name] : undefined;
  }
  return typeof found === "object" && found !== null ? (found as Schema) : null;
}

/** Give what an untouched field holds. Required fields are there, others are left out. */
export function blank(field: Field): Draft {
  switch (field.kind) {
    case "text":
      return { kind: "text", text: "" };
    case "number":
      return { kind: "number", text: "" };
    case "boolean":
      return { kind: "boolean", is: false };
    case "choice":
      return { kind: "choice", index: 0 };
    case "list":
      return { kind: "list", items: [] };
    case "map":
      return { kind: "map", entries: [] };
    case "object":
      return {
        kind: "object",
        given: Object.fromEntries(
          field.properties.filter((one) => one.isRequired).map((one) => [one.name, blank(one.field)]),
        ),
      };
    case "union":
      return { kind: "union", index: 0, draft: blank(field.variants[0]!.field) };
    case "json":
      return { kind: "json", text: "" };
  }
}

/** Give the draft that reads as `value`. Where the value does not fit the field, the field is blank. */
export function fill(field: Field, value: unknown): Draft {
  switch (field.kind) {
    case "text":
      return { kind: "text", text: typeof value === "string" ? value : "" };
    case "number":
      return { kind: "number", text: typeof value === "number" ? String(value) : "" };
    case "boolean":
      return { kind: "boolean", is: value === true };
    case "choice": {
      const wanted = JSON.stringify(value);
      return {
        kind: "choice",
        index: Math.max(
          0,
          field.values.findIndex((one) => JSON.stringify(one) === wanted),
        ),
      };
    }
    case "list":
      return { kind: "list", items: Array.isArray(value) ? value.map((one) => fill(field.item, one)) : [] };
    case "map":
      return {
        kind: "map",
        entries: isObject(value) ? Object.entries(value).map(([key, one]) => [key, fill(field.item, one)]) : [],
      };
    case "object": {
      const given: Record<string, Draft> = {};
      for (const property of field.properties) {
        const isThere = isObject(value) && Object.hasOwn(value, property.name);
        if (isThere) given[property.name] = fill(property.field, (value as Record<string, unknown>)[property.name]);
        else if (property.isRequired) given[property.name] = blank(property.field);
      }
      return { kind: "object", given };
    }
    case "union": {
      const index = Math.max(
        0,
        field.variants.findIndex(({ field: one }) => suits(one, value)),
      );
      return { kind: "union", index, draft: fill(field.variants[index]!.field, value) };
    }
    case "json":
      return { kind: "json", text: value === undefined ? "" : JSON.stringify(value, null, 2) };
  }
}

function suits(field: Field, value: unknown): boolean {
  switch (field.kind) {
    case "text":
      return typeof value === "string";
    case "number":
      return typeof value === "number" && (!field.isInteger || Number.isInteger(value));
    case "boolean":
      return typeof value === "boolean";
    case "choice":
      return field.values.some((one) => JSON.stringify(one) === JSON.stringify(value));
    case "list":
      return Array.isArray(value);
    case "map":
      return isObject(value);
    case "object":
      return isObject(value) && field.properties.every((one) => !one.isRequired || Object.hasOwn(value, one.name));
    case "union":
      return field.variants.some((one) => suits(one.field, value));
    case "json":
      return true;
  }
}

export type Reading = { value: Json; problems: [] } | { value: undefined; problems: Problem[] };

/** Read what was typed. Problems carry paths as the form shows them: `lines[2].price`. */
export function read(field: Field, draft: Draft, path = ""): Reading {
  const bad = (message: string): Reading => ({ value: undefined, problems: [{ path, message }] });
  const good = (value: Json): Reading => ({ value, problems: [] });
  if (draft.kind !== field.kind) return bad("does not fit its field any more: fill it in again");
  switch (draft.kind) {
    case "text": {
      const { pattern } = field as Extract<Field, { kind: "text" }>;
      return pattern && !matches(pattern, draft.text) ? bad(`must be like ${pattern}`) : good(draft.text);
    }
    case "number":
      return readNumber(field as Extract<Field, { kind: "number" }>, draft.text.trim(), bad, good);
    case "boolean":
      return good(draft.is);
    case "choice":
      return good((field as Extract<Field, { kind: "choice" }>).values[draft.index] ?? null);
    case "list": {
      const { item } = field as Extract<Field, { kind: "list" }>;
      return gather(draft.items.map((one, index) => [String(index), read(item, one, `${path}[${index}]`)])).list();
    }
    case "map": {
      const { item } = field as Extract<Field, { kind: "map" }>;
      const names = draft.entries.map(([name]) => name);
      const twice = names.find((name, index) => names.indexOf(name) !== index);
      if (twice !== undefined) return bad(`the key ${JSON.stringify(twice)} is there twice`);
      return gather(draft.entries.map(([name, one]) => [name, read(item, one, join(path, name))])).object();
    }
    case "object": {
      const { properties } = field as Extract<Field, { kind: "object" }>;
      const parts: [string, Reading][] = [];
      for (const { name, field: one } of properties) {
        const given = draft.given[name];
        if (given) parts.push([name, read(one, given, join(path, name))]);
      }
      return gather(parts).object();
    }
    case "union": {
      const { variants } = field as Extract<Field, { kind: "union" }>;
      return read(variants[draft.index]!.field, draft.draft, path);
    }
    case "json":
      return readJson(draft.text, bad, good);
  }
}

function readNumber(
  field: Extract<Field, { kind: "number" }>,
  text: string,
  bad: (message: string) => Reading,
  good: (value: Json) => Reading,
): Reading {
  if (text === "") return bad("is needed");
  const value = Number(text);
  if (!Number.isFinite(value)) return bad(`${JSON.stringify(text)} is not a number`);
  if (field.isInteger && !Number.isInteger(value)) return bad("must be a whole number");
  if (field.isInteger && !Number.isSafeInteger(value)) return bad("is too large to be sent from a browser unharmed");
  if (field.low !== null && value < field.low) return bad(`must be at least ${field.low}`);
  if (field.high !== null && value > field.high) return bad(`must be at most ${field.high}`);
  return good(value);
}

function readJson(text: string, bad: (message: string) => Reading, good: (value: Json) => Reading): Reading {
  if (text.trim() === "") return bad('is needed: write JSON, like 17 or {"a": 1}');
  try {
    return good(JSON.parse(text) as Json);
  } catch (error) {
    return bad(`is not JSON: ${(error as Error).message}`);
  }
}

function gather(parts: [string, Reading][]) {
  const problems = parts.flatMap(([, one]) => one.problems);
  const failed: Reading = { value: undefined, problems };
  return {
    list: (): Reading =>
      problems.length ? failed : { value: parts.map(([, one]) => one.value as Json), problems: [] },
    object: (): Reading =>
      problems.length
        ? failed
        : { value: Object.fromEntries(parts.map(([name, one]) => [name, one.value as Json])), problems: [] },
  };
}

function join(path: string, name: string): string {
  const isPlain = /^[A-Za-z_]\w*$/.test(name);
  if (path === "") return name;
  return isPlain ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
}

function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true; // a pattern of another dialect: the server knows
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

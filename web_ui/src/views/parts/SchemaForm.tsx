// A form made from a JSON Schema (see model/schema_forms).

import { useEffect, useId, useRef } from "preact/hooks";
import { blank, type Draft, type Field, type Problem, type Property } from "../../model/schema_forms";
import { Icon } from "./Icon";

interface Props {
  field: Field;
  draft: Draft;
  onChange: (draft: Draft) => void;
  problems: readonly Problem[];
}

/** Draw the whole form. `problems` are shown at their fields. */
export function SchemaForm({ field, draft, onChange, problems }: Props) {
  if (field.kind === "object") return <ObjectRows {...{ field, draft, onChange, problems }} path="" />;
  return (
    <div class="form-row">
      <Editor {...{ field, draft, onChange, problems }} path="" label="value" />
    </div>
  );
}

function ObjectRows({ field, draft, onChange, problems, path }: Props & { path: string }) {
  if (field.kind !== "object" || draft.kind !== "object") return null;
  const set = (name: string, one: Draft | null) => {
    const given = { ...draft.given };
    if (one === null) delete given[name];
    else given[name] = one;
    onChange({ kind: "object", given });
  };
  if (field.properties.length === 0) return <p class="dim">It takes nothing.</p>;
  return (
    <>
      {field.properties.map((property) => (
        <PropertyRow
          key={property.name}
          property={property}
          draft={draft.given[property.name] ?? null}
          onChange={(one) => set(property.name, one)}
          problems={problems}
          path={path === "" ? property.name : `${path}.${property.name}`}
        />
      ))}
    </>
  );
}

function PropertyRow({
  property,
  draft,
  onChange,
  problems,
  path,
}: {
  property: Property;
  draft: Draft | null;
  onChange: (draft: Draft | null) => void;
  problems: readonly Problem[];
  path: string;
}) {
  const { field, name, isRequired, fallback } = property;
  const isNested = field.kind === "object" || field.kind === "list" || field.kind === "map";
  return (
    <div class={isNested ? "form-row form-nested" : "form-row"}>
      <div class="form-head">
        <span class="form-name mono">{name}</span>
        <span class="form-type dim">{typeOf(field)}</span>
        {!isRequired && (
          <label class="form-given">
            <input
              type="checkbox"
              checked={draft !== null}
              onChange={(event) => onChange(event.currentTarget.checked ? blank(field) : null)}
            />
            give {name}
          </label>
        )}
      </div>
      {field.note && <p class="form-note dim">{field.note}</p>}
      {draft === null ? (
        <p class="dim form-default">{fallback === null ? "left out" : `default: ${fallback}`}</p>
      ) : (
        <Editor field={field} draft={draft} onChange={onChange} problems={problems} path={path} label={name} />
      )}
    </div>
  );
}

function Editor({ field, draft, onChange, problems, path, label }: Props & { path: string; label: string }) {
  const id = useId();
  const own = problems.filter((problem) => problem.path === path);
  const invalid = own.length > 0;
  const described = invalid ? { "aria-invalid": true as const, "aria-describedby": `${id}-problem` } : {};
  return (
    <>
      <Control {...{ field, draft, onChange, problems, path, label, described }} />
      {invalid && (
        <p class="form-problem" id={`${id}-problem`} role="alert">
          <Icon name="bang" size={12} />
          {label} {own[0]!.message}
        </p>
      )}
    </>
  );
}

function Control({
  field,
  draft,
  onChange,
  problems,
  path,
  label,
  described,
}: Props & { path: string; label: string; described: object }) {
  const named = { "aria-label": path || label, ...described };
  if (field.kind === "text" && draft.kind === "text") {
    const isLong = field.isLong || draft.text.includes("\n");
    const set = (text: string) => onChange({ kind: "text", text });
    return isLong ? (
      <textarea {...named} rows={4} value={draft.text} onInput={(event) => set(event.currentTarget.value)} />
    ) : (
      <input
        {...named}
        type="text"
        spellcheck={false}
        placeholder={field.format ?? ""}
        value={draft.text}
        onInput={(event) => set(event.currentTarget.value)}
      />
    );
  }
  if (field.kind === "number" && draft.kind === "number") {
    return (
      <input
        {...named}
        type="text"
        class="num"
        inputMode={field.isInteger ? "numeric" : "decimal"}
        value={draft.text}
        onInput={(event) => onChange({ kind: "number", text: event.currentTarget.value })}
      />
    );
  }
  if (field.kind === "boolean" && draft.kind === "boolean") {
    return (
      <div class="segmented" role="group" {...named}>
        {[true, false].map((one) => (
          <button
            type="button"
            key={String(one)}
            aria-pressed={draft.is === one}
            onClick={() => onChange({ kind: "boolean", is: one })}
          >
            {one ? "true" : "false"}
          </button>
        ))}
      </div>
    );
  }
  if (field.kind === "choice" && draft.kind === "choice") {
    if (field.values.length === 1) return <code>{JSON.stringify(field.values[0])}</code>;
    return (
      <select
        {...named}
        value={String(draft.index)}
        onChange={(event) => onChange({ kind: "choice", index: Number(event.currentTarget.value) })}
      >
        {field.values.map((one, index) => (
          <option key={index} value={String(index)}>
            {typeof one === "string" ? one : JSON.stringify(one)}
          </option>
        ))}
      </select>
    );
  }
  if (field.kind === "json" && draft.kind === "json") {
    return (
      <textarea
        {...named}
        class="mono"
        rows={Math.min(12, Math.max(3, draft.text.split("\n").length))}
        spellcheck={false}
        placeholder="JSON"
        value={draft.text}
        onInput={(event) => onChange({ kind: "json", text: event.currentTarget.value })}
      />
    );
  }
  if (field.kind === "object" && draft.kind === "object") {
    return (
      <div class="form-group" role="group" aria-label={path}>
        <ObjectRows {...{ field, draft, onChange, problems, path }} />
      </div>
    );
  }
  if (field.kind === "list" && draft.kind === "list")
    return <ListRows {...{ field, draft, onChange, problems, path }} />;
  if (field.kind === "map" && draft.kind === "map") return <MapRows {...{ field, draft, onChange, problems, path }} />;
  if (field.kind === "union" && draft.kind === "union") {
    const variant = field.variants[draft.index]!;
    return (
      <div class="form-union">
        <select
          aria-label={`kind of ${path || label}`}
          value={String(draft.index)}
          onChange={(event) => {
            const index = Number(event.currentTarget.value);
            onChange({ kind: "union", index, draft: blank(field.variants[index]!.field) });
          }}
        >
          {field.variants.map((one, index) => (
            <option key={index} value={String(index)}>
              {one.label}
            </option>
          ))}
        </select>
        <Editor
          field={variant.field}
          draft={draft.draft}
          onChange={(one) => onChange({ ...draft, draft: one })}
          problems={problems}
          path={path}
          label={label}
        />
      </div>
    );
  }
  return <p class="form-problem">its shape has changed: reload the page</p>;
}

/** Who adds a row goes on in it; a form that is filled at once leaves the focus where it is. */
function useFocusOnNew(count: number) {
  const group = useRef<HTMLDivElement>(null);
  const before = useRef(count);
  useEffect(() => {
    const rows = group.current?.querySelectorAll<HTMLElement>(":scope > .form-item");
    const isByHand = group.current?.contains(document.activeElement) ?? false;
    if (count === before.current + 1 && isByHand)
      rows?.[count - 1]?.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
    before.current = count;
  }, [count]);
  return group;
}

function ListRows({
  field,
  draft,
  onChange,
  problems,
  path,
}: {
  field: Extract<Field, { kind: "list" }>;
  draft: Extract<Draft, { kind: "list" }>;
  onChange: (draft: Draft) => void;
  problems: readonly Problem[];
  path: string;
}) {
  const put = (items: Draft[]) => onChange({ kind: "list", items });
  const group = useFocusOnNew(draft.items.length);
  return (
    <div class="form-group" role="group" aria-label={path} ref={group}>
      {draft.items.map((item, index) => (
        <div class="form-item" key={index}>
          <span class="dim num">{index}</span>
          <div class="form-item-body">
            <Editor
              field={field.item}
              draft={item}
              onChange={(one) => put(draft.items.map((old, place) => (place === index ? one : old)))}
              problems={problems}
              path={`${path}[${index}]`}
              label={`item ${index}`}
            />
          </div>
          <button
            type="button"
            class="button button-quiet"
            aria-label={`remove item ${index} of ${path}`}
            onClick={() => put(draft.items.filter((_, place) => place !== index))}
          >
            <Icon name="cross" size={12} />
          </button>
        </div>
      ))}
      <button type="button" class="button button-quiet" onClick={() => put([...draft.items, blank(field.item)])}>
        + add an item
      </button>
    </div>
  );
}

function MapRows({
  field,
  draft,
  onChange,
  problems,
  path,
}: {
  field: Extract<Field, { kind: "map" }>;
  draft: Extract<Draft, { kind: "map" }>;
  onChange: (draft: Draft) => void;
  problems: readonly Problem[];
  path: string;
}) {
  const put = (entries: [string, Draft][]) => onChange({ kind: "map", entries });
  const group = useFocusOnNew(draft.entries.length);
  return (
    <div class="form-group" role="group" aria-label={path} ref={group}>
      {draft.entries.map(([name, item], index) => (
        <div class="form-item" key={index}>
          <input
            type="text"
            class="mono form-key"
            aria-label={`key ${index} of ${path}`}
            value={name}
            onInput={(event) => {
              const text = event.currentTarget.value;
              put(draft.entries.map((old, place) => (place === index ? [text, old[1]] : old)));
            }}
          />
          <div class="form-item-body">
            <Editor
              field={field.item}
              draft={item}
              onChange={(one) => put(draft.entries.map((old, place) => (place === index ? [old[0], one] : old)))}
              problems={problems}
              path={path === "" ? name : `${path}.${name}`}
              label={name}
            />
          </div>
          <button
            type="button"
            class="button button-quiet"
            aria-label={`remove key ${name}`}
            onClick={() => put(draft.entries.filter((_, place) => place !== index))}
          >
            <Icon name="cross" size={12} />
          </button>
        </div>
      ))}
      <button
        type="button"
        class="button button-quiet"
        onClick={() => put([...draft.entries, ["", blank(field.item)]])}
      >
        + add a key
      </button>
    </div>
  );
}

function typeOf(field: Field): string {
  switch (field.kind) {
    case "text":
      return field.format ?? "text";
    case "number":
      return field.isInteger ? "whole number" : "number";
    case "boolean":
      return "true or false";
    case "choice":
      return field.values.length > 1 ? "one of" : "";
    case "list":
      return `list of ${typeOf(field.item) || "values"}`;
    case "map":
      return "keys and values";
    case "object":
      return "object";
    case "union":
      return field.variants.map((one) => one.label).join(" or ");
    case "json":
      return "any JSON";
  }
}

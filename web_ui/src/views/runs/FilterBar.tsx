// The filter bar: one line of text, completed while it is typed, kept in the URL, and saved by name.

import { useEffect, useRef, useState } from "preact/hooks";
import { complete, readFilter, writeFilter } from "../../model/filters";
import { keptSignal } from "../../state/kept";
import { Icon } from "../parts/Icon";
import { Button } from "../parts/small";

interface Saved {
  name: string;
  text: string;
}

const saved = keptSignal<readonly Saved[]>("filters", [
  { name: "failed", text: "status:failed" },
  { name: "in flight", text: "status:pending,running" },
]);

export function FilterBar({
  text,
  onChange,
  known,
  problems,
}: {
  text: string;
  onChange: (text: string) => void;
  known: { workflows: readonly string[]; attributes: readonly string[] };
  problems: readonly string[];
}) {
  const [draft, setDraft] = useState(text);
  const [caret, setCaret] = useState(text.length);
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setDraft(text), [text]);

  const offered = isOpen ? complete(draft, caret, known) : { from: 0, items: [] };
  const items = offered.items;
  const apply = (next: string) => {
    setOpen(false);
    setChosen(-1);
    setDraft(next);
    onChange(writeFilter(readFilter(next).filter));
  };
  const put = (index: number) => {
    const item = items[index]!;
    const isKey = item.text.endsWith(":");
    const next = `${draft.slice(0, offered.from)}${item.text}${isKey ? "" : " "}${draft.slice(caret).trimStart()}`;
    const place = offered.from + item.text.length + (isKey ? 0 : 1);
    setDraft(next);
    setCaret(place);
    setChosen(-1);
    requestAnimationFrame(() => input.current?.setSelectionRange(place, place));
    if (!isKey) onChange(writeFilter(readFilter(next).filter));
  };
  const tracked = (element: HTMLInputElement) => setCaret(element.selectionStart ?? element.value.length);

  return (
    <div class="filter">
      <div class="filter-line">
        <Icon name="search" size={14} />
        <input
          ref={input}
          id="filter"
          type="text"
          role="combobox"
          aria-label="filter runs"
          aria-expanded={items.length > 0}
          aria-controls="filter-list"
          aria-autocomplete="list"
          aria-activedescendant={chosen >= 0 ? `filter-item-${chosen}` : undefined}
          placeholder="status:failed workflow:create_site attr:tenant=acme after:1h words"
          spellcheck={false}
          autocomplete="off"
          value={draft}
          onFocus={() => setOpen(true)}
          onBlur={() => {
            setOpen(false);
            if (draft !== text) onChange(writeFilter(readFilter(draft).filter));
          }}
          onInput={(event) => {
            setDraft(event.currentTarget.value);
            tracked(event.currentTarget);
            setOpen(true);
            setChosen(-1);
          }}
          onKeyUp={(event) => tracked(event.currentTarget)}
          onClick={(event) => tracked(event.currentTarget)}
          onKeyDown={(event) => {
            const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
            if (step && items.length) setChosen((chosen + step + items.length) % items.length);
            else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) put(chosen);
            else if (event.key === "Enter") apply(draft);
            else if (event.key === "Escape") {
              if (isOpen && items.length) setOpen(false);
              else input.current?.blur();
            } else return;
            event.preventDefault();
            event.stopPropagation();
          }}
        />
        {draft && (
          <button type="button" class="button button-quiet" aria-label="clear the filter" onClick={() => apply("")}>
            <Icon name="cross" size={12} />
          </button>
        )}
        <kbd>/</kbd>
      </div>
      <ul id="filter-list" class="filter-list" role="listbox" aria-label="completions" hidden={items.length === 0}>
        {items.map((item, index) => (
          <li
            key={item.label}
            id={`filter-item-${index}`}
            role="option"
            aria-selected={index === chosen}
            onPointerDown={(event) => {
              event.preventDefault();
              put(index);
            }}
          >
            <code>{item.label}</code>
            <span class="dim">{item.hint}</span>
          </li>
        ))}
      </ul>
      <SavedFilters text={text} onPick={apply} />
      {problems.map((problem) => (
        <p class="form-problem" key={problem} role="alert">
          <Icon name="bang" size={12} />
          {problem}
        </p>
      ))}
    </div>
  );
}

function SavedFilters({ text, onPick }: { text: string; onPick: (text: string) => void }) {
  const [name, setName] = useState<string | null>(null);
  const isSaved = saved.value.some((one) => one.text === text);
  return (
    <div class="saved" role="group" aria-label="saved filters">
      {saved.value.map((one) => (
        <span class="saved-one" key={one.name}>
          <button
            type="button"
            class="chip-button"
            aria-pressed={one.text === text}
            title={one.text}
            onClick={() => onPick(one.text === text ? "" : one.text)}
          >
            {one.name}
          </button>
          {one.text === text && (
            <button
              type="button"
              class="button button-quiet"
              aria-label={`forget the filter ${one.name}`}
              onClick={() => {
                saved.value = saved.value.filter((other) => other !== one);
              }}
            >
              <Icon name="cross" size={10} />
            </button>
          )}
        </span>
      ))}
      {text && !isSaved && name === null && (
        <Button kind="quiet" icon="save" onClick={() => setName("")}>
          Save this filter
        </Button>
      )}
      {name !== null && (
        <form
          class="save-form"
          onSubmit={(event) => {
            event.preventDefault();
            const chosen = name.trim();
            if (chosen) saved.value = [...saved.value.filter((one) => one.name !== chosen), { name: chosen, text }];
            setName(null);
          }}
        >
          <input
            type="text"
            aria-label="name of the filter"
            placeholder="name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <Button type="submit">Save</Button>
          <Button kind="quiet" onClick={() => setName(null)}>
            Don’t
          </Button>
        </form>
      )}
    </div>
  );
}

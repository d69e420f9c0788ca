// The palette: everything by its name. Screens, actions, runs, workflows, hooks, saved queries.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call } from "../../api";
import type { Binding } from "../../model/keys";
import { rank } from "../../model/matching";
import { placeOf, runPlace, type Screen } from "../../model/places";
import { isDev } from "../../state/dev";
import { listOpeners, opener } from "../../state/editor";
import { listBindings } from "../../state/keyboard";
import { go } from "../../state/router";
import { theme } from "../../state/theme";
import { toastFailure } from "../../state/toasts";
import { Dialog } from "../parts/Dialog";
import { Icon, type IconName } from "../parts/Icon";
import { Key } from "../parts/small";
import { TITLES } from "./Rail";

interface Entry {
  id: string;
  kind: string;
  icon: IconName;
  text: string;
  hint: string;
  keys?: string;
  run: () => void;
}

const MOST = 50;
const GO: [Screen, string][] = [
  ["runs", "g r"],
  ["workflows", "g w"],
  ["hooks", "g h"],
  ["query", "g q"],
  ["compare", "g m"],
  ["code", "g c"],
  ["overview", "g o"],
];

export function Palette({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [found, setFound] = useState<Entry[]>([]);
  const list = useRef<HTMLUListElement>(null);
  // What the screen below can do.
  const [bound] = useState(() => boundEntries(listBindings()));

  useEffect(() => {
    let isHere = true;
    void gather().then((entries) => isHere && setFound(entries));
    return () => {
      isHere = false;
    };
  }, []);

  const shown = useMemo(() => {
    const all = [...fixedEntries(onKeys), ...bound, ...found];
    const asked = text.trim();
    const ranked = rank(asked, all, (entry) => entry.text).map(({ item }) => item);
    const isId = /^[\w/:.-]{6,}$/.test(asked) && !ranked.some((entry) => entry.text === asked);
    const direct: Entry[] = isId
      ? [
          {
            id: "direct",
            kind: "run",
            icon: "right",
            text: asked,
            hint: "open the run of this id",
            run: () => go(runPlace(asked)),
          },
        ]
      : [];
    return [...ranked.slice(0, MOST), ...direct];
  }, [text, found, bound, onKeys]);

  useEffect(() => {
    list.current?.querySelector(`[data-place="${chosen}"]`)?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };

  return (
    <Dialog label="palette" onClose={onClose}>
      <div class="palette">
        <div class="palette-input">
          <Icon name="search" />
          <input
            autofocus
            type="text"
            role="combobox"
            aria-label="find a screen, an action, a run, a workflow, a hook or a query"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-activedescendant={shown[chosen] ? `palette-${chosen}` : undefined}
            placeholder="Screens, actions, runs, workflows, hooks, queries"
            spellcheck={false}
            value={text}
            onInput={(event) => {
              setText(event.currentTarget.value);
              setChosen(0);
            }}
            onKeyDown={(event) => {
              const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
              if (step && shown.length) setChosen((chosen + step + shown.length) % shown.length);
              else if (event.key === "Enter") choose(shown[chosen]);
              else return;
              event.preventDefault();
            }}
          />
        </div>
        <ul id="palette-list" role="listbox" aria-label="what was found" ref={list}>
          {shown.map((entry, index) => (
            <li
              key={entry.id}
              id={`palette-${index}`}
              data-place={index}
              role="option"
              aria-selected={index === chosen}
              onPointerMove={() => setChosen(index)}
              onClick={() => choose(entry)}
            >
              <Icon name={entry.icon} size={14} />
              <span class="palette-text">{entry.text}</span>
              <span class="dim palette-hint">{entry.hint}</span>
              {entry.keys && <Key>{entry.keys}</Key>}
            </li>
          ))}
        </ul>
        {shown.length === 0 && <p class="dim palette-none">Nothing is called that.</p>}
      </div>
    </Dialog>
  );
}

function fixedEntries(onKeys: () => void): Entry[] {
  const screens = GO.map(([screen, keys]) => ({
    id: `go ${screen}`,
    kind: "screen",
    icon: screen as IconName,
    text: `Go to ${TITLES[screen]}`,
    hint: "screen",
    keys,
    run: () => go(placeOf(screen)),
  }));
  const themes = (["system", "light", "dark"] as const).map((one) => ({
    id: `theme ${one}`,
    kind: "action",
    icon: "half" as const,
    text: `Theme: ${one}`,
    hint: "action",
    run: () => {
      theme.value = one;
    },
  }));
  const filters = ["failed", "running", "pending", "cancelled"].map((status) => ({
    id: `filter ${status}`,
    kind: "screen",
    icon: "runs" as const,
    text: `Runs that are ${status}`,
    hint: "screen",
    run: () => go(placeOf("runs", { q: `status:${status}` })),
  }));
  const openers = listOpeners().map(({ opener: one, text }) => ({
    id: `opener ${one}`,
    kind: "action",
    icon: "code" as const,
    text,
    hint: opener.value === one ? "chosen" : "action",
    run: () => {
      opener.value = one;
    },
  }));
  const reload = {
    id: "reload",
    kind: "action",
    icon: "again" as const,
    text: "Load the code anew",
    hint: "action",
    run: () => void call("POST /api/dev/reload", { body: {} }).catch(toastFailure),
  };
  const keys = {
    id: "keys",
    kind: "action",
    icon: "keyboard" as const,
    text: "Show all keys",
    hint: "action",
    keys: "?",
    run: onKeys,
  };
  return [...screens, ...filters, ...(isDev.value ? [reload] : []), ...themes, ...openers, keys];
}

/** What has a key on the screen that is shown, or is done there without one. Ways to screens are listed already. */
function boundEntries(bindings: readonly Binding[]): Entry[] {
  const taken = new Set<string>();
  const entries: Entry[] = [];
  for (const { keys, label, group, run } of bindings) {
    if (group === "go" || group === "everywhere" || taken.has(label)) continue;
    taken.add(label);
    const text = label.charAt(0).toUpperCase() + label.slice(1);
    entries.push({
      id: `bound ${group} ${label}`,
      kind: "action",
      icon: "keyboard",
      text,
      hint: group.toLowerCase(),
      ...(keys ? { keys } : {}),
      run,
    });
  }
  return entries.sort((one, other) => Number(one.keys !== undefined) - Number(other.keys !== undefined));
}

/** Ask for what has a name. What cannot be had is left out: the palette works without it. */
async function gather(): Promise<Entry[]> {
  const none = { items: [] };
  const [workflows, hooks, queries, runs] = await Promise.all([
    call("GET /api/workflows").catch(() => none),
    call("GET /api/hooks", { query: { locked: true } }).catch(() => none),
    call("GET /api/queries").catch(() => none),
    call("GET /api/runs", { query: { limit: 200 } }).catch(() => none),
  ]);
  return [
    ...workflows.items.map((one) => ({
      id: `workflow ${one.id}`,
      kind: "workflow",
      icon: "workflows" as const,
      text: `Start ${one.id}`,
      hint: "workflow",
      run: () => go(placeOf("workflows", { workflow: one.id })),
    })),
    ...hooks.items.flatMap((one) =>
      one.token === null
        ? []
        : [
            {
              id: `hook ${one.token}`,
              kind: "hook",
              icon: "hooks" as const,
              text: `Resume ${one.token}`,
              hint: "hook",
              run: () => go(placeOf("hooks", { token: one.token })),
            },
          ],
    ),
    ...queries.items.map((one) => ({
      id: `query ${one.name}`,
      kind: "query",
      icon: "query" as const,
      text: one.name,
      hint: one.doc || "saved query",
      run: () => go(placeOf("query", { saved: one.name })),
    })),
    ...runs.items.map((one) => ({
      id: `run ${one.id}`,
      kind: "run",
      icon: "right" as const,
      text: one.id,
      hint: `${one.workflow}, ${one.status}`,
      run: () => go(runPlace(one.id)),
    })),
  ];
}

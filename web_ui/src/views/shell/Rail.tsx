// The rail: the screens, and how the connection is.

import { placeOf, type Screen } from "../../model/places";
import { diverging, isDev } from "../../state/dev";
import { type Connection, connection } from "../../state/live";
import { place } from "../../state/router";
import { nextTheme, theme } from "../../state/theme";
import { Icon, type IconName } from "../parts/Icon";
import { A, isMac } from "../parts/small";

export const TITLES: Record<Screen, string> = {
  runs: "Runs",
  run: "Run",
  workflows: "Workflows",
  hooks: "Hooks",
  query: "Query",
  compare: "Compare",
  code: "Code",
  overview: "Overview",
};

const ITEMS: [Screen, IconName, string][] = [
  ["runs", "runs", "g r"],
  ["workflows", "workflows", "g w"],
  ["hooks", "hooks", "g h"],
  ["query", "query", "g q"],
  ["compare", "compare", "g m"],
  ["code", "code", "g c"],
  ["overview", "overview", "g o"],
];

const PILLS: Record<Connection, { text: string; tone: string; title: string }> = {
  connecting: { text: "connecting", tone: "idle", title: "connecting to the server" },
  live: { text: "live", tone: "good", title: "what is shown follows the server" },
  reconnecting: { text: "reconnecting", tone: "warn", title: "the connection broke; it is tried again" },
  stale: { text: "stale", tone: "warn", title: "nothing was heard for ten seconds" },
  gone: { text: "server gone", tone: "bad", title: "the server does not answer" },
  paused: { text: "paused", tone: "idle", title: "this tab was not looked at; it goes on when it is" },
};

export function Rail({ onPalette, onKeys }: { onPalette: () => void; onKeys: () => void }) {
  const shown = place.value?.screen === "run" ? "runs" : place.value?.screen;
  const misfits = diverging.value.length;
  const themeIcon: IconName = theme.value === "dark" ? "moon" : theme.value === "light" ? "sun" : "half";
  return (
    <nav class="rail" aria-label="screens">
      <div class="rail-head">
        <A href={placeOf("runs")} class="brand" aria-label="wf, the studio">
          wf
        </A>
        {isDev.value && <span class="dev-badge">dev</span>}
      </div>
      <button type="button" class="rail-search" onClick={onPalette} title="find anything">
        <Icon name="search" size={14} />
        <span>Find…</span>
        <kbd>{isMac ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <ul>
        {ITEMS.map(([screen, icon, keys]) => (
          <li key={screen}>
            <A
              href={placeOf(screen)}
              class="rail-item"
              title={`${TITLES[screen]} (${keys})`}
              aria-current={shown === screen ? "page" : undefined}
            >
              <Icon name={icon} />
              <span>{TITLES[screen]}</span>
              {screen === "code" && misfits > 0 && (
                <span class="rail-count num" title={`${misfits} runs diverge`}>
                  {misfits}
                </span>
              )}
            </A>
          </li>
        ))}
      </ul>
      <div class="rail-foot">
        <Pill />
        <div class="rail-tools">
          <button
            type="button"
            class="button button-quiet"
            onClick={nextTheme}
            aria-label={`theme: ${theme.value}`}
            title={`theme: ${theme.value} (t)`}
          >
            <Icon name={themeIcon} />
          </button>
          <button
            type="button"
            class="button button-quiet"
            onClick={onKeys}
            aria-label="show all keys"
            title="all keys (?)"
          >
            <Icon name="keyboard" />
          </button>
        </div>
      </div>
    </nav>
  );
}

function Pill() {
  const { text, tone, title } = PILLS[connection.value];
  return (
    <span class={`pill tone-${tone}`} role="status" title={title}>
      <span class="pill-dot" aria-hidden="true" />
      <span>{text}</span>
    </span>
  );
}

// The shell: the rail, the screen that the URL says, and what lies over it.

import { useSignalEffect } from "@preact/signals";
import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import type { Failure } from "../../api";
import type { Binding } from "../../model/keys";
import { placeOf, type Screen } from "../../model/places";
import { isDev, shownError } from "../../state/dev";
import { useKeys } from "../../state/keyboard";
import { connection, hasSession } from "../../state/live";
import { go, place } from "../../state/router";
import { nextTheme } from "../../state/theme";
import { toast } from "../../state/toasts";
import { Icon } from "../parts/Icon";
import { lazyView } from "../parts/lazy";
import { A, copyText, Empty } from "../parts/small";
import { RunScreen } from "../run/RunScreen";
import { RunsScreen } from "../runs/RunsScreen";
import { ErrorOverlay } from "./ErrorOverlay";
import { KeySheet } from "./KeySheet";
import { Palette } from "./Palette";
import { Rail, TITLES } from "./Rail";
import { SignIn } from "./SignIn";
import { Toasts } from "./Toasts";

const SCREENS: Record<Screen, ComponentType> = {
  runs: RunsScreen,
  run: RunScreen,
  workflows: lazyView("the workflows", () =>
    import("../workflows/WorkflowsScreen").then((module) => module.WorkflowsScreen),
  ),
  hooks: lazyView("the hooks", () => import("../hooks/HooksScreen").then((module) => module.HooksScreen)),
  query: lazyView("the query", () => import("../query/QueryScreen").then((module) => module.QueryScreen)),
  compare: lazyView("the comparison", () => import("../compare/CompareScreen").then((module) => module.CompareScreen)),
  code: lazyView("the code", () => import("../code/CodeScreen").then((module) => module.CodeScreen)),
  overview: lazyView("the overview", () =>
    import("../overview/OverviewScreen").then((module) => module.OverviewScreen),
  ),
};

export function Shell({ refused }: { refused: Failure | null }) {
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isSheetOpen, setSheetOpen] = useState(false);
  useKeys(
    [
      { keys: "Mod-K", label: "open the palette", group: "everywhere", run: () => setPaletteOpen(true) },
      { keys: "?", label: "show all keys", group: "everywhere", run: () => setSheetOpen(true) },
      { keys: "y", label: "copy a link to what is shown", group: "everywhere", run: copyLink },
      { keys: "t", label: "change the theme", group: "everywhere", run: nextTheme },
      ...goBindings(),
    ],
    [],
  );
  useSignalEffect(() => {
    const at = place.value;
    const what = at === null ? "not found" : at.screen === "run" ? at.runId! : TITLES[at.screen];
    document.title = `${isDev.value ? "[dev] " : ""}${what} · wf`;
  });
  if (!hasSession.value) return <SignIn refused={refused} />;
  const at = place.value;
  const Shown = at && SCREENS[at.screen];
  return (
    <div class="shell">
      <a class="skip" href="#screen">
        skip to the screen
      </a>
      <Rail onPalette={() => setPaletteOpen(true)} onKeys={() => setSheetOpen(true)} />
      <main id="screen" class="screen" key={at?.screen === "run" ? `run ${at.runId}` : at?.screen} tabIndex={-1}>
        <GoneBanner />
        {Shown ? <Shown /> : <NotFound />}
      </main>
      {shownError.value && <ErrorOverlay error={shownError.value} />}
      <Toasts />
      {isPaletteOpen && <Palette onClose={() => setPaletteOpen(false)} onKeys={() => setSheetOpen(true)} />}
      {isSheetOpen && <KeySheet onClose={() => setSheetOpen(false)} />}
    </div>
  );
}

function goBindings(): Binding[] {
  const targets: [string, Screen][] = [
    ["r", "runs"],
    ["w", "workflows"],
    ["h", "hooks"],
    ["q", "query"],
    ["m", "compare"],
    ["c", "code"],
    ["o", "overview"],
  ];
  return targets.map(([letter, screen]) => ({
    keys: `g ${letter}`,
    label: `go to ${TITLES[screen]}`,
    group: "go",
    run: () => go(placeOf(screen)),
  }));
}

async function copyLink(): Promise<void> {
  if (await copyText(location.href)) toast("good", "the link is copied");
  else toast("warn", "the browser did not allow copying");
}

function GoneBanner() {
  if (connection.value !== "gone" && connection.value !== "stale") return null;
  const isGone = connection.value === "gone";
  return (
    <div class="gone-banner" role="status">
      <Icon name="bang" size={14} />
      <p>
        <strong>{isGone ? "The server is gone." : "Nothing was heard from the server for a while."}</strong>{" "}
        {isGone ? "Start it again with " : "It is tried again all the time. "}
        {isGone && <code>{isDev.value === false ? "wf serve" : "wf dev"}</code>}
        {isGone && "; what is shown was true when it was last heard of."}
      </p>
    </div>
  );
}

function NotFound() {
  return (
    <Empty title="There is nothing at this address">
      <p>
        <A href={placeOf("runs")}>Go to the runs</A>
      </p>
    </Empty>
  );
}

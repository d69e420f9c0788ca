// Opening a place in an editor: by the dev server, by a link that the browser hands on, or by copying it.

import { computed } from "@preact/signals";
import { call, Failure } from "../api";
import { type CodePlace, LINKS, type LinkKind, linkTo, wholePath } from "../model/code_places";
import { dev } from "./dev";
import { keptSignal } from "./kept";
import { toast, toastFailure } from "./toasts";

export type Opener = "auto" | "server" | "copy" | LinkKind;

/** What somebody chose; `auto` is the server's editor where it has one, else copying. */
export const opener = keptSignal<Opener>("opener", "auto");

export const serverEditor = computed(() => dev.value?.editor ?? null);
export const projectRoot = computed(() => dev.value?.root ?? null);

const NAMES: Record<LinkKind, string> = {
  vscode: "VS Code",
  cursor: "Cursor",
  windsurf: "Windsurf",
  zed: "Zed",
  idea: "IntelliJ IDEA",
};

/** What a click does now. */
export const openerNow = computed((): Exclude<Opener, "auto"> => {
  const chosen = opener.value;
  const has = { server: serverEditor.value !== null, root: projectRoot.value !== null };
  if (chosen === "auto" || chosen === "server") return has.server ? "server" : "copy";
  return chosen === "copy" || !has.root ? "copy" : chosen;
});

export function sayOpener(which: Exclude<Opener, "auto">): string {
  if (which === "server") return `open in ${serverEditor.value ?? "the server’s editor"}`;
  return which === "copy" ? "copy file and line" : `open in ${NAMES[which]}`;
}

/** All that can be chosen, for the palette. */
export function listOpeners(): { opener: Opener; text: string }[] {
  if (projectRoot.value === null) return [];
  const server = serverEditor.value;
  return [
    ...(server ? [{ opener: "server" as const, text: `Open places with ${server}, started by wf dev` }] : []),
    ...LINKS.map((kind) => ({ opener: kind, text: `Open places with ${NAMES[kind]}, by a link` })),
    { opener: "copy", text: "Open places: only copy file and line" },
  ];
}

export async function openPlace(place: CodePlace): Promise<void> {
  const how = openerNow.value;
  if (how === "server") return openByServer(place);
  if (how === "copy") return copyPlace(place);
  location.assign(linkTo(how, { ...place, file: wholePath(place.file, projectRoot.value!) }));
}

async function openByServer({ file, line, column }: CodePlace): Promise<void> {
  try {
    const { editor } = await call("POST /api/open", { body: { file, line, column } });
    toast("good", `${file.split("/").at(-1)}:${line} is open in ${editor}`);
  } catch (error) {
    toastFailure(Failure.from(error));
  }
}

async function copyPlace({ file, line }: CodePlace): Promise<void> {
  try {
    await navigator.clipboard.writeText(`${file}:${line}`);
    const how = projectRoot.value === null ? null : "how places open is chosen in the palette, or by WF_EDITOR";
    toast("good", `${file.split("/").at(-1)}:${line} is copied`, { more: how });
  } catch {
    toast("warn", "the browser did not allow copying");
  }
}

// The SQL editor: CodeMirror in a shadow root, where its styles are adopted sheets. The page's policy allows no
// `<style>`, and needs no exception.

import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, type SQLNamespace, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { SchemaDoc } from "../../api_types";

export interface Editor {
  read(): string;
  write(text: string): void;
  setSchema(schema: SchemaDoc): void;
  focus(): void;
  close(): void;
}

export function openEditor(
  host: HTMLElement,
  options: { text: string; onChange: (text: string) => void; onRun: () => void },
): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const language = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        Prec.highest(
          keymap.of([
            {
              key: "Mod-Enter",
              run: () => {
                options.onRun();
                return true;
              },
            },
            { key: "Tab", run: acceptCompletion },
            {
              key: "Escape",
              run: (at) => {
                at.contentDOM.blur();
                return true;
              },
            },
          ]),
        ),
        lineNumbers(),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        highlightActiveLine(),
        EditorView.lineWrapping,
        placeholder("SELECT status, count(*) FROM runs GROUP BY status"),
        EditorView.contentAttributes.of({ "aria-label": "SQL", spellcheck: "false" }),
        language.of(sql({ dialect: PostgreSQL })),
        syntaxHighlighting(COLOURS),
        THEME,
        // Tab takes what is proposed, and else leaves: who has a keyboard only must not be caught here. Mod-] indents.
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        // Chrome keeps the style of what is typed over, as a `style` attribute, which the page's policy refuses.
        EditorView.domEventHandlers({
          beforeinput(event, at) {
            if (event.inputType !== "insertText" || !event.data || at.state.selection.main.empty) return false;
            if (/[([{'"`]/.test(event.data)) return false; // brackets are put around it
            event.preventDefault();
            at.dispatch(at.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
            return true;
          },
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    read: () => view.state.doc.toString(),
    write: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    setSchema(schema) {
      const names: SQLNamespace = Object.fromEntries(
        schema.tables.map((table) => [
          table.name,
          table.columns.map((column) => ({ label: column.name, detail: column.type, info: column.doc })),
        ]),
      );
      const functions = schema.functions.map((one) => ({
        label: one.name,
        type: "function",
        detail: one.signature,
        info: one.doc,
        apply: `${one.name}(`,
      }));
      const extra = PostgreSQL.language.data.of({
        autocomplete: (context: { matchBefore(pattern: RegExp): { from: number } | null }) => {
          const word = context.matchBefore(/\w+/);
          return word ? { from: word.from, options: functions, validFor: /^\w*$/ } : null;
        },
      });
      view.dispatch({ effects: language.reconfigure([sql({ dialect: PostgreSQL, schema: names }), extra]) });
    },
    focus: () => view.focus(),
    close: () => view.destroy(),
  };
}

// The page's variables reach into the shadow root: light and dark are the page's business.
const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
  { tag: tags.comment, color: "var(--dim)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.typeName], color: "var(--accent)" },
  { tag: tags.operator, color: "var(--dim)" },
]);

const THEME = EditorView.theme({
  "&": { fontSize: "13px", color: "var(--text)", backgroundColor: "var(--raised)", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--dim)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--hover)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--accent-ground)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-ground)", outline: "none" },
  ".cm-placeholder": { color: "var(--dim)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line)", color: "var(--text)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16em" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "var(--dim)", marginLeft: "1em" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionInfo": { padding: "6px 8px", maxWidth: "320px" },
});

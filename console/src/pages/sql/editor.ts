/** The editor of statements: CodeMirror, with the names of the database. */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, type SQLDialect, SQLite, sql } from "@codemirror/lang-sql";
import {
  bracketMatching,
  defaultHighlightStyle,
  HighlightStyle,
  syntaxHighlighting,
} from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { cspNonce } from "../../api/nonce.ts";
import type { Schema } from "./schema.ts";

/** In colors of the page, which hold for light and dark. */
const COLORS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--up)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--series-3)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
]);

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  onChange(text: string): void;
  onRun(): void;
}

/**
 * Chrome types over a selection with the style of what was there, as a `style` attribute, which the
 * policy of the page refuses with an error.
 */
function typeOver(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== "insertText" || event.data === null || view.state.selection.main.empty)
    return false;
  event.preventDefault();
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

export class Editor {
  readonly #view: EditorView;
  readonly #language = new Compartment();

  constructor({ parent, text, onChange, onRun }: EditorOptions) {
    const run = () => {
      onRun();
      return true;
    };
    this.#view = new EditorView({
      parent,
      state: EditorState.create({
        doc: text,
        extensions: [
          EditorView.cspNonce.of(cspNonce()),
          EditorView.contentAttributes.of({ "aria-label": "Statement" }),
          EditorView.lineWrapping,
          Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
          ...[history(), drawSelection(), bracketMatching(), closeBrackets(), autocompletion()],
          syntaxHighlighting(COLORS),
          syntaxHighlighting(defaultHighlightStyle, { fallback: true }),
          placeholder("SELECT …"),
          EditorView.domEventHandlers({ beforeinput: typeOver }),
          this.#language.of(sql({ dialect: SQLite })),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
  }

  get text(): string {
    return this.#view.state.doc.toString();
  }

  set text(text: string) {
    if (text === this.text) return;
    this.#view.dispatch({ changes: { from: 0, to: this.#view.state.doc.length, insert: text } });
  }

  /** From now on it completes these names. */
  know({ engine, tables }: Schema): void {
    const dialect: SQLDialect = engine === "sqlite" ? SQLite : PostgreSQL;
    const language = sql({ dialect, schema: tables, upperCaseKeywords: true });
    this.#view.dispatch({ effects: this.#language.reconfigure(language) });
  }

  focus(): void {
    this.#view.focus();
  }

  close(): void {
    this.#view.destroy();
  }
}

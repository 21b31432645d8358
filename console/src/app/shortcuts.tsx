/** What single keys do, and whether they do. */
import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { CheckField } from "../components/field.tsx";
import { PAGES } from "./pages.ts";
import { goTo } from "./router.ts";

const KEPT_AS = "stock-db.shortcuts";
/** How long a `g` waits for its second letter. */
const SECOND_LETTER_MS = 1_500;

const areOn = signal(localStorage.getItem(KEPT_AS) !== "off");

/** @param isListOpen is set when somebody asks what keys there are. */
export function useShortcuts(isListOpen: Signal<boolean>): void {
  useEffect(() => {
    let wentAt = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent) => {
      if (!areOn.value || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector("dialog[open]") !== null) return;
      if (event.key === "?") isListOpen.value = true;
      else if (event.key === "/") focusSearch(event);
      else if (event.timeStamp - wentAt < SECOND_LETTER_MS) {
        const page = PAGES.find(({ letter }) => letter === event.key);
        if (page !== undefined) goTo(page.name);
      }
      wentAt = event.key === "g" ? event.timeStamp : Number.NEGATIVE_INFINITY;
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [isListOpen]);
}

function focusSearch(event: KeyboardEvent): void {
  const search = document.querySelector<HTMLInputElement>("main input[type=search]");
  if (search === null) return;
  event.preventDefault();
  search.focus();
  search.select();
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null
  );
}

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {PAGES.map(({ title, letter }) => (
          <KeyLine key={letter} pressed={["g", letter]} does={title} />
        ))}
        <KeyLine pressed={["/"]} does="Search on this page" />
        <KeyLine pressed={["↑", "↓", "Enter"]} does="Move in a table, open a row" />
        <KeyLine pressed={["?"]} does="This list" />
      </dl>
      <CheckField
        label="Single keys do this"
        value={areOn.value}
        onChange={(isOn) => {
          areOn.value = isOn;
          localStorage.setItem(KEPT_AS, isOn ? "on" : "off");
        }}
      />
      <div class="actions">
        <Button kind="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

function KeyLine({ pressed, does }: { pressed: string[]; does: string }) {
  return (
    <div>
      <dt>
        {pressed.map((text) => (
          <kbd key={text}>{text}</kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </div>
  );
}

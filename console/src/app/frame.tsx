/** What is around each page: the way to the others, whether it is live, who is signed in. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { key, needsKey, setKey, signInReason } from "../api/key.ts";
import { liveProblem, liveState } from "../api/live-socket.ts";
import { Button } from "../components/button.tsx";
import { SelectField } from "../components/field.tsx";
import { About } from "./about.tsx";
import { Logo } from "./logo.tsx";
import { PageOutlet } from "./page-outlet.tsx";
import { PAGES } from "./pages.ts";
import { linkTo, place } from "./router.ts";
import { Shortcuts, useShortcuts } from "./shortcuts.tsx";
import { SignIn } from "./sign-in.tsx";
import { type Theme, theme } from "./theme.ts";

const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
] as const;

const LIVE_TEXTS = {
  live: "Live",
  connecting: "Connecting",
  lost: "Connection lost, trying again",
  refused: "Not live",
};

export function Frame() {
  const main = useRef<HTMLElement>(null);
  const isMenuOpen = useSignal(false);
  const isAboutOpen = useSignal(false);
  const areShortcutsOpen = useSignal(false);
  useShortcuts(areShortcutsOpen);
  const current = place.value.page || PAGES[0].name;
  useEffect(() => {
    isMenuOpen.value = false;
    main.current?.scrollTo(0, 0);
  }, [current, isMenuOpen]);
  return (
    <div class="frame">
      {/* No link with a hash: that would be the address of a page. */}
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class={isMenuOpen.value ? "rail is-open" : "rail"}>
        <a class="brand" href={linkTo(PAGES[0].name)}>
          <Logo />
          Stock database
        </a>
        <span class="menu-button">
          <LiveMark />
          <Button onClick={() => (isMenuOpen.value = !isMenuOpen.value)} isPressed={isMenuOpen.value}>
            Menu
          </Button>
        </span>
        <nav aria-label="Pages">
          <ul>
            {PAGES.map(({ name, title, letter }) => (
              <li key={name}>
                <a href={linkTo(name)} aria-current={name === current ? "page" : undefined}>
                  {title}
                  <Letter of={letter} />
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Tools isAboutOpen={isAboutOpen} areShortcutsOpen={areShortcutsOpen} />
      </header>
      <main class="main" ref={main} tabIndex={-1}>
        <PageOutlet />
      </main>
      {signInReason.value !== null && <SignIn />}
      {isAboutOpen.value && <About onClose={() => (isAboutOpen.value = false)} />}
      {areShortcutsOpen.value && <Shortcuts onClose={() => (areShortcutsOpen.value = false)} />}
    </div>
  );
}

interface ToolsProps {
  isAboutOpen: Signal<boolean>;
  areShortcutsOpen: Signal<boolean>;
}

function Tools({ isAboutOpen, areShortcutsOpen }: ToolsProps) {
  return (
    <div class="tools">
      <LiveMark isLong />
      <SelectField
        label="Colors"
        value={theme.value}
        onChange={(chosen) => (theme.value = chosen as Theme)}
        options={THEMES}
      />
      {key.value !== null && <Button onClick={() => setKey(null)}>Sign out</Button>}
      {key.value === null && needsKey.value && (
        <Button onClick={() => (signInReason.value = "")}>Sign in</Button>
      )}
      <span class="tool-row">
        <Button kind="plain" onClick={() => (areShortcutsOpen.value = true)}>
          Keys
        </Button>
        <Button kind="plain" onClick={() => (isAboutOpen.value = true)}>
          About
        </Button>
      </span>
    </div>
  );
}

/** Drawn by the style sheet, so that it is no part of the link's name. */
function Letter({ of }: { of: string }) {
  return <span class="letter" data-letter={`g ${of}`} />;
}

/** Nothing, where the page has nothing live. */
function LiveMark({ isLong = false }: { isLong?: boolean }) {
  const state = liveState.value;
  if (state === null) return null;
  const text = state === "refused" ? `${LIVE_TEXTS.refused}: ${liveProblem.value ?? ""}` : LIVE_TEXTS[state];
  return (
    <span class={`live-mark is-${state}`} role={isLong ? "status" : undefined} title={text}>
      <span class={isLong ? "" : "hidden-visually"}>{text}</span>
    </span>
  );
}

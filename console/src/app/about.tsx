/** What this is, and whose work is in it. */
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";

export function About({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Stock database" onClose={onClose}>
      <p>
        One market database that many programs share. Programs ask it at <a href="docs">/docs</a>; what a page
        here shows, any program can have with the same key.
      </p>
      <p class="muted">
        The charts are drawn by TradingView Lightweight Charts™, Copyright (с) 2023 TradingView, Inc.{" "}
        <a href="https://www.tradingview.com/" rel="noreferrer" target="_blank">
          tradingview.com
        </a>
        . <a href="console/licenses.md">All licences</a>
      </p>
      <div class="actions">
        <Button kind="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

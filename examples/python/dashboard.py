"""A dashboard: a page with the newest price of some tickers, as they move.

    python examples/python/dashboard.py IBM SPY        # http://localhost:8000

Each open page has a stream of its own, which begins with what is newest and misses nothing after it.
Only this program knows the key of the server, the browser doesn't.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import stock_db

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Prices</title>
<style>body { font: 1.2rem system-ui } td { padding: 0.2rem 1rem; text-align: right }</style>
<table id="prices"></table>
<script>
  const rows = {};
  new EventSource("/events").onmessage = ({ data }) => {
    const { ticker, price, time } = JSON.parse(data);
    rows[ticker] ??= document.querySelector("#prices").insertRow();
    rows[ticker].replaceChildren(...[ticker, price.toFixed(2), time].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
  };
</script>"""


class Dashboard(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        is_stream = self.path == "/events"
        self.send_header("Content-Type", "text/event-stream" if is_stream else "text/html")
        self.end_headers()
        if not is_stream:
            self.wfile.write(PAGE)
            return
        with stock_db.connect().stream(sys.argv[1:], types=["trade"], snapshot=True) as stream:
            for update in stream:
                newest = update.trade if isinstance(update, stock_db.Snapshot) else None
                for trade in [newest] if newest else update if isinstance(update, stock_db.Trades) else []:
                    row = {"ticker": update.ticker, "price": trade.price, "time": trade.timestamp}
                    self.wfile.write(f"data: {json.dumps(row)}\n\n".encode())


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    ThreadingHTTPServer(("127.0.0.1", port), Dashboard).serve_forever()

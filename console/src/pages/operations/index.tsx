/** What the server does now: requests, saves, workers, who is connected, who writes. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../../api/request.ts";
import { isAbort, messageOf } from "../../api/server-error.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Failure, Loading, Note } from "../../components/feedback.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { bytesText, countText } from "../../format/numbers.ts";
import { ageText } from "../../format/times.ts";
import {
  type CommandRate,
  type Connection,
  commandRates,
  type Look,
  lookAt,
  moreOf,
  sumOf,
  type Worker,
  type Writer,
} from "./look.ts";
import "./operations.css";

const EVERY_MS = 2_000;

interface Looks {
  before: Look | null;
  now: Look;
}

export default function OperationsPage() {
  const { looks, error, again } = useLooks();
  return (
    <section class="page operations">
      <div class="page-head">
        <h1>Operations</h1>
        {looks !== null && error !== null && (
          <span class="muted" role="status">
            What is shown is {ageText(performance.now() - looks.now.atMs)} old
          </span>
        )}
      </div>
      {error !== null && <Failure error={error} />}
      {looks === null ? (
        error === null && <Loading what="Asking the server" />
      ) : (
        <Shown {...looks} again={again} />
      )}
    </section>
  );
}

/** Looks while the page is seen; after an error it goes on trying. */
function useLooks(): { looks: Looks | null; error: unknown; again(): void } {
  const [looks, setLooks] = useState<Looks | null>(null);
  const [error, setError] = useState<unknown>(null);
  const look = useRef<() => Promise<void>>(async () => undefined);
  useEffect(() => {
    const abort = new AbortController();
    let isLooking = false;
    look.current = async () => {
      if (isLooking || document.hidden) return;
      isLooking = true;
      try {
        const now = await lookAt(abort.signal);
        setLooks((known) => ({ before: known?.now ?? null, now }));
        setError(null);
      } catch (caught) {
        if (!isAbort(caught) && !abort.signal.aborted) setError(caught);
      } finally {
        isLooking = false;
      }
    };
    void look.current();
    const timer = setInterval(() => void look.current(), EVERY_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, []);
  return { looks, error, again: () => void look.current() };
}

function Shown({ before, now, again }: Looks & { again(): void }) {
  return (
    <>
      {now.reasons.length > 0 && (
        <ul class="failure" role="alert">
          {now.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      <Figures before={before} now={now} />
      <h2>Requests</h2>
      <Requests before={before} now={now} />
      <h2>Workers</h2>
      <Part part={now.list}>
        {({ workers, silent }) => (
          <>
            {silent.map((name) => (
              <p key={name} class="failure" role="alert">
                {name} doesn't answer
              </p>
            ))}
            <Table label="Workers" columns={WORKERS} rows={workers} keyOf={({ worker }) => worker} />
          </>
        )}
      </Part>
      <h2>Connections</h2>
      <Part part={now.list}>
        {({ connections, left_out }) =>
          connections.length === 0 ? (
            <Note>Nobody is connected for longer than a request.</Note>
          ) : (
            <>
              <Connections connections={connections} again={again} />
              {left_out > 0 && <p class="muted">and {countText(left_out)} more</p>}
            </>
          )
        }
      </Part>
      <h2>Writers</h2>
      <Part part={now.writers}>
        {(writers) =>
          writers.length === 0 ? (
            <Note>Nobody has saved anything since the server started.</Note>
          ) : (
            <Table
              label="Writers"
              columns={WRITERS}
              rows={writers}
              keyOf={({ key, address }) => `${key} ${address}`}
            />
          )
        }
      </Part>
    </>
  );
}

/** Or what the key of this page may not see. */
function Part<T>({ part, children }: { part: T | Error; children(part: T): VNode }) {
  return part instanceof Error ? <Note>{messageOf(part)}</Note> : children(part);
}

function Figures({ before, now }: { before: Look | null; now: Look }) {
  const { metrics } = now;
  if (metrics instanceof Error) return <Note>{messageOf(metrics)}</Note>;
  const rate = (name: string) => (before === null ? "…" : `${moreOf(before, now, name).toFixed(1)}/s`);
  const commits = before === null ? 0 : moreOf(before, now, "stock_db_commit_seconds_count");
  const commitMs =
    commits === 0 ? null : (1_000 * moreOf(before!, now, "stock_db_commit_seconds_sum")) / commits;
  const figures: [string, string][] = [
    ["Requests", rate("stock_db_requests_total")],
    ["Saves", rate("stock_db_saves_total")],
    ["Rows saved", rate("stock_db_saved_rows_total")],
    ["A commit takes", commitMs === null ? "–" : `${commitMs.toFixed(2)} ms`],
    ["Saves that wait", countText(sumOf(metrics, "stock_db_commit_queue"))],
    ["Memory of all processes", bytesText(sumOf(metrics, "stock_db_resident_bytes"))],
    ["Update log", bytesText(sumOf(metrics, "stock_db_update_log_bytes"))],
    ["Disk free", bytesText(sumOf(metrics, "stock_db_disk_free_bytes"))],
    ["Hub", sumOf(metrics, "stock_db_hub_connected") > 0 ? "connected" : "away"],
  ];
  return (
    <dl class="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const REQUESTS: Column<CommandRate>[] = [
  { id: "what", title: "Command or path", render: ({ what }) => what },
  { id: "rate", title: "Each second", isNumber: true, render: ({ perSecond }) => perSecond.toFixed(1) },
  {
    ...{ id: "mean", title: "Takes on average", isNumber: true },
    render: ({ meanMs }) => (meanMs === null ? "–" : `${meanMs.toFixed(2)} ms`),
  },
];

function Requests({ before, now }: { before: Look | null; now: Look }) {
  if (now.metrics instanceof Error) return <Note>{messageOf(now.metrics)}</Note>;
  const rates = before === null ? [] : commandRates(before, now);
  if (rates.length === 0) return <Note>…</Note>;
  return <Table label="Requests" columns={REQUESTS} rows={rates} keyOf={({ what }) => what} />;
}

const WORKERS: Column<Worker>[] = [
  { id: "worker", title: "Worker", isNumber: true, render: ({ worker }) => worker },
  { id: "pid", title: "PID", isNumber: true, render: ({ pid }) => pid },
  { id: "memory", title: "Memory", isNumber: true, render: (each) => bytesText(each.resident_bytes) },
  {
    ...{ id: "delay", title: "Loop delay", isNumber: true },
    render: ({ event_loop_delay_s }) => `${(event_loop_delay_s * 1_000).toFixed(1)} ms`,
  },
  { id: "connections", title: "Connections", isNumber: true, render: (each) => countText(each.connections) },
];

const WRITERS: Column<Writer>[] = [
  { id: "key", title: "Key", render: ({ key }) => key },
  { id: "address", title: "Address", render: ({ address }) => address },
  { id: "rate", title: "Rows each second", isNumber: true, render: ({ rate }) => rate.toFixed(1) },
  { id: "rows", title: "Rows", isNumber: true, isWideOnly: true, render: ({ rows }) => countText(rows) },
  { id: "what", title: "Newest", isWideOnly: true, render: ({ symbol, type }) => `${symbol} ${type}` },
  { id: "age", title: "Age", isNumber: true, render: ({ age }) => ageText(age * 1_000) },
];

function Connections({ connections, again }: { connections: Connection[]; again(): void }) {
  const [ending, setEnding] = useState<Connection | null>(null);
  const [error, setError] = useState<unknown>(null);
  const end = async ({ id }: Connection) => {
    setEnding(null);
    setError(null);
    try {
      await request(`v1/connections/${encodeURIComponent(id)}`, { method: "DELETE" });
      again();
    } catch (caught) {
      setError(caught);
    }
  };
  const columns: Column<Connection>[] = [
    { id: "lag", title: "Behind", isNumber: true, render: ({ lag_s }) => `${lag_s.toFixed(1)} s` },
    { id: "queue", title: "Queue", isNumber: true, render: ({ queue_bytes }) => bytesText(queue_bytes) },
    { id: "kind", title: "Kind", render: ({ kind }) => kind },
    { id: "key", title: "Key", isWideOnly: true, render: ({ key }) => key ?? "?" },
    { id: "address", title: "Address", render: ({ address }) => address },
    { id: "what", title: "What", isWideOnly: true, render: whatOf },
    {
      ...{ id: "for", title: "For", isNumber: true, isWideOnly: true },
      render: ({ since }) => ageText(Date.now() - Date.parse(since)),
    },
    {
      ...{ id: "end", title: "End", isWideOnly: true },
      render: (connection) => (
        <Button kind="plain" label={`End ${connection.id}`} onClick={() => setEnding(connection)}>
          End
        </Button>
      ),
    },
  ];
  return (
    <>
      {error !== null && <Failure error={error} />}
      <Table label="Connections" columns={columns} rows={connections} keyOf={({ id }) => id} />
      {ending !== null && (
        <Dialog title="End this connection?" onClose={() => setEnding(null)}>
          <p>
            {ending.kind} from {ending.address}: {whatOf(ending)}
          </p>
          <div class="actions">
            <Button onClick={() => setEnding(null)}>Leave it</Button>
            <Button kind="danger" onClick={() => void end(ending)}>
              End it
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function whatOf({ what, sql, subscriptions = 0, tickers = [], policy }: Connection): string {
  if (sql !== undefined) return sql;
  if (what !== undefined) return what;
  const more = subscriptions - tickers.length;
  const all = tickers.join(", ") + (more > 0 ? ` and ${countText(more)} more` : "");
  return policy === undefined ? all : `${policy}: ${all || "nothing yet"}`;
}

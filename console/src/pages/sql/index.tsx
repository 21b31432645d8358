/** Statements that read: an editor, the rows of the answer, a chart of a column. */
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PageProps } from "../../app/pages.ts";
import { linkTo, setParams } from "../../app/router.ts";
import { Button } from "../../components/button.tsx";
import { Failure, Note } from "../../components/feedback.tsx";
import { SelectField } from "../../components/field.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { countText } from "../../format/numbers.ts";
import { Editor } from "./editor.ts";
import { QuickChart } from "./quick-chart.tsx";
import { csvOf, type Outcome, type Row, StatementRun, textOf } from "./run.ts";
import { readSchema, type Schema } from "./schema.ts";
import { forgetStatements, keepStatement, pastStatements } from "./statements.ts";
import "./sql.css";

const TICK_MS = 100;
const FIRST =
  "SELECT ticker, type, count(*) AS ticks\nFROM realtime_data\nGROUP BY ticker, type\nORDER BY ticks DESC";
/** Characters of a statement in the list of those before. */
const SHOWN_MAX = 80;

/** What was typed is there when somebody comes back to the page. */
const draft = signal<string | null>(null);

export default function SqlPage({ params }: PageProps) {
  const run = useMemo(() => new StatementRun(), []);
  const [past, setPast] = useState(pastStatements);
  const [schema, setSchema] = useState<Schema | null>(null);
  // A link fills the editor; it never runs by itself, whoever has made it.
  const linked = params.get("q");
  const [given, setGiven] = useState({ text: linked ?? draft.peek() ?? past[0] ?? FIRST });
  const [text, setText] = useState(given.text);
  useEffect(() => {
    if (linked !== null) setGiven({ text: linked });
  }, [linked]);
  useEffect(() => {
    const abort = new AbortController();
    // Without the right to read, the first statement says so.
    readSchema(abort.signal).then(setSchema, () => undefined);
    return () => {
      abort.abort();
      run.cancel();
    };
  }, [run]);
  const change = (changed: string) => {
    draft.value = changed;
    setText(changed);
    if (linked !== null && linked !== changed) setParams({ q: "" });
  };
  const start = () => {
    const sql = text.trim();
    if (sql === "") return;
    setPast(keepStatement(sql));
    void run.start(sql);
  };
  const choose = (chosen: string) => setGiven({ text: chosen });
  return (
    <section class="page sql-page">
      <div class="page-head">
        <h1>SQL</h1>
        <span class="muted" role="status">
          <Elapsed run={run} />
        </span>
      </div>
      <EditorBox given={given} schema={schema} onChange={change} onRun={start} />
      <Actions
        run={run}
        text={text}
        past={past}
        onStart={start}
        onChoose={choose}
        onForget={() => setPast([])}
      />
      {run.error.value !== null && <Failure error={run.error.value} />}
      {run.outcome.value !== null && <Answer outcome={run.outcome.value} />}
    </section>
  );
}

interface ActionsProps {
  run: StatementRun;
  text: string;
  past: readonly string[];
  onStart(): void;
  onChoose(text: string): void;
  onForget(): void;
}

function Actions({ run, text, past, onStart, onChoose, onForget }: ActionsProps) {
  return (
    <div class="sql-actions">
      {run.since.value === null ? (
        <Button kind="primary" onClick={onStart}>
          Run
        </Button>
      ) : (
        <Button kind="danger" onClick={() => run.cancel()}>
          Cancel
        </Button>
      )}
      <span class="muted wide-only">Ctrl+Enter runs it, too</span>
      <Link text={text} />
      {past.length > 0 && <Past statements={past} onChoose={onChoose} onForget={onForget} />}
    </div>
  );
}

interface EditorBoxProps {
  /** Takes the place of what is in the editor, when it is another object. */
  given: { text: string };
  schema: Schema | null;
  onChange(text: string): void;
  onRun(): void;
}

function EditorBox({ given, schema, onChange, onRun }: EditorBoxProps) {
  const box = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const newest = useRef({ onChange, onRun });
  newest.current = { onChange, onRun };
  useEffect(() => {
    editor.current = new Editor({
      parent: box.current!,
      text: given.text,
      onChange: (changed) => newest.current.onChange(changed),
      onRun: () => newest.current.onRun(),
    });
    return () => editor.current?.close();
  }, []);
  useEffect(() => {
    if (editor.current !== null) editor.current.text = given.text;
  }, [given]);
  useEffect(() => {
    if (schema !== null) editor.current?.know(schema);
  }, [schema]);
  return <div ref={box} class="sql-editor" />;
}

function Elapsed({ run }: { run: StatementRun }) {
  const [, tick] = useState(0);
  const since = run.since.value;
  useEffect(() => {
    if (since === null) return;
    const timer = setInterval(() => tick((count) => count + 1), TICK_MS);
    return () => clearInterval(timer);
  }, [since]);
  if (since !== null) return <>{((performance.now() - since) / 1_000).toFixed(1)} s</>;
  const outcome = run.outcome.value;
  if (outcome === null) return null;
  return (
    <>
      {countText(outcome.rows.length)} rows in {(outcome.ms / 1_000).toFixed(2)} s
    </>
  );
}

function Link({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(new URL(linkTo("sql", { q: text }), location.href).href);
    setCopied(true);
  };
  useEffect(() => setCopied(false), [text]);
  return <Button onClick={() => void copy()}>{isCopied ? "Copied" : "Copy a link"}</Button>;
}

interface PastProps {
  statements: readonly string[];
  onChoose(text: string): void;
  onForget(): void;
}

function Past({ statements, onChoose, onForget }: PastProps) {
  const forget = () => {
    forgetStatements();
    onForget();
  };
  return (
    <details class="sql-past">
      <summary class="button">Statements before</summary>
      <ul>
        {statements.map((each) => (
          <li key={each}>
            <Button kind="plain" onClick={() => onChoose(each)}>
              {each.replace(/\s+/g, " ").slice(0, SHOWN_MAX)}
            </Button>
          </li>
        ))}
        <li>
          <Button onClick={forget}>Forget them</Button>
        </li>
      </ul>
    </details>
  );
}

function Answer({ outcome }: { outcome: Outcome }) {
  const { rows, numbers, columns } = outcome;
  const [charted, setCharted] = useState("");
  useEffect(() => setCharted(""), [outcome]);
  if (rows.length === 0) return <Note>No rows.</Note>;
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csvOf(outcome)], { type: "text/csv" }));
    link.download = "rows.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const shown: Column<{ row: Row; at: number }>[] = columns.map((name) => ({
    id: name,
    title: name,
    isNumber: numbers.has(name),
    render: ({ row }) => (row[name] === null ? <span class="muted">null</span> : textOf(row[name])),
  }));
  return (
    <>
      <div class="sql-actions">
        <Button onClick={save}>Save as CSV</Button>
        {numbers.size > 0 && (
          <SelectField
            label="Chart of"
            value={charted}
            onChange={setCharted}
            options={[["", "no column"], ...[...numbers].map((name) => [name, name] as const)]}
          />
        )}
      </div>
      {charted !== "" && numbers.has(charted) && <QuickChart outcome={outcome} column={charted} />}
      <Table
        label="Rows of the answer"
        columns={shown}
        rows={rows.map((row, at) => ({ row, at }))}
        keyOf={({ at }) => at}
      />
    </>
  );
}

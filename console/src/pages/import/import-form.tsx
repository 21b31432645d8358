import { useEffect, useMemo, useState } from "preact/hooks";
import { messageOf } from "../../api/server-error.ts";
import { Button } from "../../components/button.tsx";
import { Failure } from "../../components/feedback.tsx";
import { SelectField, TextField } from "../../components/field.tsx";
import { countText } from "../../format/numbers.ts";
import { type FilePlan, planOf } from "./file-plan.ts";
import { KINDS } from "./kinds.ts";
import { Sending, type Target } from "./sending.ts";

interface Chosen {
  file: File;
  plan: FilePlan;
}

export function ImportForm() {
  const sending = useMemo(() => new Sending(), []);
  useEffect(() => () => sending.stop(), [sending]);
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [settings, setSettings] = useState<Settings>({ kind: "bars", timeframe: "1Day", symbol: "", tz: "" });
  const choose = async (file: File | undefined) => {
    if (file === undefined) return;
    setProblem(null);
    try {
      setChosen({ file, plan: await planOf(file) });
      sending.state.value = "waiting";
    } catch (error) {
      setChosen(null);
      setProblem(messageOf(error));
    }
  };
  const isSending = sending.state.value === "sending";
  return (
    <section class="card" aria-labelledby="import-title">
      <h2 id="import-title">Import a file</h2>
      <FileChoice name={chosen?.file.name ?? null} onChoose={(file) => void choose(file)} />
      {problem !== null && <Failure error={problem} />}
      {chosen !== null && (
        <>
          <Fields settings={settings} onChange={(changed) => setSettings({ ...settings, ...changed })} />
          <Preview {...chosen} />
          <div class="actions">
            {isSending ? (
              <Button kind="danger" onClick={() => sending.stop()}>
                Stop
              </Button>
            ) : (
              <Button
                kind="primary"
                onClick={() => void sending.start(chosen.file, chosen.plan, targetOf(settings))}
              >
                Import
              </Button>
            )}
          </div>
          <Progress sending={sending} />
        </>
      )}
    </section>
  );
}

interface Settings {
  kind: string;
  timeframe: string;
  symbol: string;
  tz: string;
}

function targetOf({ kind, timeframe, symbol, tz }: Settings): Target {
  return {
    path: `v1/${kind}`,
    params: {
      timeframe: kind === "bars" ? timeframe : undefined,
      ...{ symbol: symbol || undefined, tz: tz || undefined },
    },
  };
}

interface FieldsProps {
  settings: Settings;
  onChange(changed: Partial<Settings>): void;
}

function Fields({ settings: { kind, timeframe, symbol, tz }, onChange }: FieldsProps) {
  return (
    <div class="fields">
      <SelectField
        label="Rows are"
        value={kind}
        onChange={(each) => onChange({ kind: each })}
        options={KINDS}
      />
      {kind === "bars" && (
        <TextField
          label="Length of a bar"
          value={timeframe}
          onChange={(each) => onChange({ timeframe: each })}
          hint="1Min, 1Hour, 1Day"
        />
      )}
      <TextField
        label="Ticker"
        value={symbol}
        onChange={(each) => onChange({ symbol: each })}
        hint="of rows that name none"
      />
      <TextField
        label="Time zone"
        value={tz}
        onChange={(each) => onChange({ tz: each })}
        hint="of times without one"
      />
    </div>
  );
}

interface FileChoiceProps {
  name: string | null;
  onChoose(file: File | undefined): void;
}

function FileChoice({ name, onChoose }: FileChoiceProps) {
  const [isOver, setOver] = useState(false);
  return (
    <label
      class={isOver ? "drop is-over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onChoose(event.dataTransfer?.files[0]);
      }}
    >
      <span>{name ?? "Drop a file here, or choose one"}</span>
      <span class="muted">CSV, NDJSON (also .gz), Parquet, Arrow</span>
      <input
        type="file"
        class="hidden-visually"
        aria-label="File"
        onChange={(event) => onChoose(event.currentTarget.files?.[0])}
      />
    </label>
  );
}

function Preview({ file, plan }: Chosen) {
  const { format, columns, firstRows } = plan;
  const size = `${countText(Math.ceil(file.size / 1_000))} KB`;
  if (columns.length === 0)
    return (
      <p class="muted">
        {format}, {size}. The server reads its columns, and stores nothing if one doesn't fit.
      </p>
    );
  return (
    <div class="preview">
      <p class="muted">
        {format}, {size}. Its first rows:
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys. */}
      <section class="preview-box" tabIndex={0} aria-label="First rows of the file">
        <table class="table">
          <thead>
            <tr>
              {columns.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {firstRows.map((row, at) => (
              <tr key={at}>
                {columns.map((name, column) => (
                  <td key={name}>{row[column]}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}

function Progress({ sending }: { sending: Sending }) {
  const { rows, stored, replaced, repeated, skipped } = sending.counts.value;
  const state = sending.state.value;
  if (state === "waiting") return null;
  const told = {
    sending: "On its way",
    done: "Done",
    stopped: "Stopped: the part that was on its way may be stored, too",
    failed: "Not all is stored",
  }[state];
  const counted = [
    `${countText(rows)} rows answered`,
    `${countText(stored)} stored`,
    `${countText(replaced)} replaced`,
    `${countText(repeated)} stored before`,
    `${countText(skipped)} left out`,
  ];
  return (
    <div class="progress">
      <p role="status">
        {told}: {counted.join(", ")}.
      </p>
      {sending.problem.value !== null && <Failure error={sending.problem.value} />}
      {sending.warnings.value.length > 0 && (
        <ul class="muted">
          {sending.warnings.value.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

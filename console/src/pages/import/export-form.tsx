import { useState } from "preact/hooks";
import { request } from "../../api/request.ts";
import { isAbort } from "../../api/server-error.ts";
import { Button } from "../../components/button.tsx";
import { Failure } from "../../components/feedback.tsx";
import { SelectField, TextField } from "../../components/field.tsx";
import { KINDS } from "./kinds.ts";

const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
  ["ndjson", "NDJSON"],
] as const;

export function ExportForm() {
  const [kind, setKind] = useState("bars");
  const [timeframe, setTimeframe] = useState("1Day");
  const [symbols, setSymbols] = useState("");
  const [start, setStart] = useState("");
  const [end, setEnd] = useState("");
  const [format, setFormat] = useState("csv");
  const [abort, setAbort] = useState<AbortController | null>(null);
  const [error, setError] = useState<unknown>(null);
  const save = async () => {
    const running = new AbortController();
    setAbort(running);
    setError(null);
    const params = {
      ...{ symbols, format, start: start || undefined, end: end || undefined },
      timeframe: kind === "bars" ? timeframe : undefined,
    };
    try {
      // With the key in a header, where a link would have it in its address.
      const answer = await request(`v1/${kind}`, { params, signal: running.signal });
      saveAs(await answer.blob(), `${kind}.${format}`);
    } catch (caught) {
      if (!isAbort(caught)) setError(caught);
    }
    setAbort(null);
  };
  return (
    <section class="card" aria-labelledby="export-title">
      <h2 id="export-title">Export rows</h2>
      <div class="fields">
        <SelectField label="What" value={kind} onChange={setKind} options={KINDS} />
        {kind === "bars" && (
          <TextField label="Length" value={timeframe} onChange={setTimeframe} hint="1Min, 1Hour, 1Day" />
        )}
        <TextField label="Tickers" value={symbols} onChange={setSymbols} hint="AAPL,SPY or A* or *" />
        <TextField label="From" type="date" value={start} onChange={setStart} />
        <TextField label="To" type="date" value={end} onChange={setEnd} />
        <SelectField label="Format" value={format} onChange={setFormat} options={FORMATS} />
      </div>
      <div class="actions">
        {abort === null ? (
          <Button onClick={() => void save()} disabled={symbols.trim() === ""}>
            Export
          </Button>
        ) : (
          <Button kind="danger" onClick={() => abort.abort()}>
            Cancel
          </Button>
        )}
      </div>
      {error !== null && <Failure error={error} />}
    </section>
  );
}

function saveAs(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

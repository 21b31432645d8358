/** Plays what is stored again: where it starts, how fast, and what time it is in it. */
import { useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { SelectField, TextField } from "../../components/field.tsx";
import { stampText } from "../../format/times.ts";
import type { ReplayState } from "./chart-model.ts";
import type { ReplayWish } from "./replay-socket.ts";

const SPEEDS = [
  ["1", "As it happened"],
  ["10", "10 times"],
  ["60", "A minute a second"],
  ["600", "10 minutes a second"],
  ["86400", "A day a second"],
  ["864000", "10 days a second"],
  ["max", "As fast as it can"],
] as const;
const STATES = { playing: "Playing", stopped: "Stopped at", over: "Ended at" } as const;
/** Seconds: nights and weekends are passed over. */
const MAX_GAP_S = 2;

interface ReplayControlProps {
  symbols: readonly string[];
  /** A date from which there is something to play. */
  proposal: string;
  state: ReplayState | null;
  onPlay(wish: ReplayWish): void;
  onStop(): void;
}

export function ReplayControl({ symbols, proposal, state, onPlay, onStop }: ReplayControlProps) {
  const [start, setStart] = useState(proposal);
  const [end, setEnd] = useState("");
  const [speed, setSpeed] = useState("60");
  const play = (from: string) => onPlay({ symbols, start: from, end, speed, maxGap: MAX_GAP_S });
  return (
    <section class="replay panel" aria-label="Replay">
      <TextField label="From (UTC)" value={start} onChange={setStart} placeholder="2024-01-02T14:30" />
      <TextField label="Until (UTC)" value={end} onChange={setEnd} placeholder="the end" />
      <SelectField label="Speed" value={speed} onChange={setSpeed} options={SPEEDS} />
      <Button kind="primary" onClick={() => play(start)} disabled={start.trim() === ""}>
        {state === null ? "Play" : "Play from the start"}
      </Button>
      {state?.is === "playing" && <Button onClick={onStop}>Stop</Button>}
      {state?.is === "stopped" && <Button onClick={() => play(state.clock)}>Go on</Button>}
      {state !== null && (
        <p role="status" class="clock">
          {STATES[state.is]} {stampText(state.clock)}
        </p>
      )}
    </section>
  );
}

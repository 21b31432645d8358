/** What can be typed or chosen, each with its label. */
import type { Ref } from "preact";
import { useId } from "preact/hooks";

interface FieldProps<V> {
  label: string;
  value: V;
  onChange(value: V): void;
  hint?: string;
  /** What is wrong with the value. */
  problem?: string | null;
}

interface TextFieldProps extends FieldProps<string> {
  type?: "text" | "password" | "search" | "number" | "date" | "datetime-local";
  placeholder?: string;
  /** Names offered while somebody types. */
  suggestions?: readonly string[];
  autocomplete?: "off" | "current-password";
  inputRef?: Ref<HTMLInputElement>;
  /** The label is told to those who can't see alone. */
  isLabelHidden?: boolean;
}

/** `onChange` comes with each letter. */
export function TextField(props: TextFieldProps) {
  const { label, value, onChange, hint, problem, type = "text", suggestions, inputRef } = props;
  const id = useId();
  const told = problem ?? hint;
  return (
    <label class="field">
      <span class={props.isLabelHidden ? "hidden-visually" : "label"}>{label}</span>
      <input
        ref={inputRef ?? null}
        // Each type has attributes of its own in Preact's types; these are those of all.
        type={type as "text"}
        value={value}
        placeholder={props.placeholder}
        autocomplete={props.autocomplete ?? "off"}
        spellcheck={false}
        list={suggestions && `${id}-list`}
        aria-invalid={problem ? true : undefined}
        aria-describedby={told ? `${id}-told` : undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {suggestions && (
        <datalist id={`${id}-list`}>
          {suggestions.map((text) => (
            <option key={text} value={text} />
          ))}
        </datalist>
      )}
      {told && (
        <span id={`${id}-told`} class={problem ? "problem" : "hint"}>
          {told}
        </span>
      )}
    </label>
  );
}

interface SelectFieldProps extends FieldProps<string> {
  /** Value and text. */
  options: readonly (readonly [string, string])[];
}

export function SelectField({ label, value, onChange, options }: SelectFieldProps) {
  return (
    <label class="field">
      <span class="label">{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([each, text]) => (
          <option key={each} value={each} selected={each === value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

export function CheckField({ label, value, onChange }: FieldProps<boolean>) {
  return (
    <label class="field is-inline">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span class="label">{label}</span>
    </label>
  );
}

/** One of a few, side by side. The arrow keys move. */
export function Choices({ label, value, onChange, options }: SelectFieldProps) {
  const name = useId();
  return (
    <div class="choices" role="radiogroup" aria-label={label}>
      {options.map(([each, text]) => (
        <label key={each}>
          <input type="radio" name={name} checked={each === value} onChange={() => onChange(each)} />
          {text}
        </label>
      ))}
    </div>
  );
}

import type { ComponentChildren } from "preact";

export interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: "normal" | "primary" | "danger" | "plain";
  type?: "button" | "submit";
  disabled?: boolean;
  /** What it is called, where its content is no text. */
  label?: string;
  /** Of a button that stays pressed. */
  isPressed?: boolean;
}

export function Button(props: ButtonProps) {
  const { children, kind = "normal", type = "button", disabled = false, label, isPressed, onClick } = props;
  return (
    <button
      type={type}
      class={`button is-${kind}`}
      disabled={disabled}
      aria-label={label}
      aria-pressed={isPressed}
      title={label}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

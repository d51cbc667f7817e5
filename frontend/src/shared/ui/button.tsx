import type { ButtonHTMLAttributes } from "react";
import { useHydrated } from "./use-hydrated";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** What was asked for is under way: a second press does nothing. */
  readonly busy?: boolean;
}

/** A button that can't be pressed before the page listens, and looks the same meanwhile. */
export function Button({ busy = false, disabled = false, type = "button", className = "", ...rest }: ButtonProps) {
  const hydrated = useHydrated();
  return (
    <button
      {...rest}
      type={type}
      disabled={disabled || busy || !hydrated}
      aria-busy={busy || undefined}
      className={`btn ${disabled ? "" : "steady"} ${className}`}
    />
  );
}

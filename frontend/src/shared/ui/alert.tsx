import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";

/** Says what went wrong and what to do, at once also to screen readers. */
export function Alert({ children }: { readonly children: ReactNode }) {
  return (
    <p
      role="alert"
      className="flex items-start gap-2 rounded-field bg-error/10 px-4 py-3 text-sm font-medium text-error"
    >
      <CircleAlert aria-hidden="true" className="mt-px size-4.5 shrink-0" />
      <span className="user-text">{children}</span>
    </p>
  );
}

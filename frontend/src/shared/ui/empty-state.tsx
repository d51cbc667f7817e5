import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

interface EmptyStateProps {
  readonly icon: LucideIcon;
  readonly title: string;
  /** `h1` where nothing else on the page is its heading. */
  readonly as?: "p" | "h1";
  readonly children?: ReactNode;
}

/** What stands where nothing is yet, and what to do about it. */
export function EmptyState({ icon: Icon, title, as: Title = "p", children }: EmptyStateProps) {
  return (
    <div className="flex flex-1 flex-col items-center justify-center gap-3 px-8 py-12 text-center">
      <span className="grid size-16 place-items-center rounded-full bg-selected text-primary">
        <Icon aria-hidden="true" className="size-7" strokeWidth={1.75} />
      </span>
      <Title className="text-lg font-semibold text-balance">{title}</Title>
      {children ? <div className="max-w-sm text-pretty text-muted">{children}</div> : null}
    </div>
  );
}

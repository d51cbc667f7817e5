import type { ReactNode } from "react";

/** A page of one column with its heading. */
export function PageColumn({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <div className="flex min-w-0 flex-1 flex-col">
      <header className="flex h-14 shrink-0 items-center px-5 lg:mx-auto lg:h-20 lg:w-full lg:max-w-2xl">
        <h1 className="text-2xl font-semibold tracking-tight">{title}</h1>
      </header>
      {/* Also a page without anything to press must be scrollable by keyboard. */}
      <div
        className="min-h-0 flex-1 overflow-y-auto focus-visible:-outline-offset-2"
        role="region"
        aria-label={title}
        tabIndex={0}
      >
        <div className="mx-auto flex min-h-full w-full max-w-2xl flex-col px-3 pb-8 sm:px-5">{children}</div>
      </div>
    </div>
  );
}

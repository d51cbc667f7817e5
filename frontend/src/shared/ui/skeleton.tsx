interface SkeletonProps {
  /** What is on its way, for who can't see the bars. */
  readonly label: string;
}

/** Rows in the measures of a list, for a page that came without its data. */
export function ListSkeleton({ label }: SkeletonProps) {
  return (
    <div aria-busy="true" className="flex flex-col gap-1 p-2">
      <p className="sr-only">{label}</p>
      {Array.from({ length: 6 }, (_, index) => (
        <div key={index} className="flex items-center gap-3 p-3">
          <span className="skeleton size-11 shrink-0 rounded-full" />
          <span className="flex flex-1 flex-col gap-2">
            <span className="skeleton h-4 w-2/5" />
            <span className="skeleton h-3.5 w-4/5" />
          </span>
        </div>
      ))}
    </div>
  );
}

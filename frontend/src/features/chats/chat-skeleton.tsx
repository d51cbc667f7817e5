import { BackToChats } from "./back-to-chats";

const WIDTHS = [
  "w-3/5 self-start",
  "w-2/5 self-start",
  "w-1/2 self-end",
  "w-2/3 self-start",
  "w-1/3 self-end",
] as const;

/** A chat in its measures, before its data is there. */
export function ChatSkeleton() {
  return (
    <div aria-busy="true" className="flex flex-1 flex-col">
      <p className="sr-only">Loading the chat</p>
      <div className="flex h-14 shrink-0 items-center gap-2 border-b border-base-300 bg-base-100 pl-1 lg:h-20 lg:gap-3 lg:px-6">
        <BackToChats />
        <span className="skeleton hidden size-11 rounded-full lg:block" />
        <span className="flex flex-col gap-2">
          <span className="skeleton h-4 w-36" />
          <span className="skeleton h-3 w-24" />
        </span>
      </div>
      <div className="mx-auto flex w-full max-w-3xl flex-1 flex-col justify-end gap-3 px-3 py-4 lg:px-6">
        {WIDTHS.map((width) => (
          <span key={width} className={`skeleton h-12 rounded-3xl ${width}`} />
        ))}
      </div>
      <div className="h-15 shrink-0 border-t border-base-300 bg-base-100 lg:h-19" />
    </div>
  );
}

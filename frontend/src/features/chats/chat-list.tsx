import { MessageCirclePlus, SquarePen } from "lucide-react";
import Link from "next/link";
import { memo, useEffect, useLayoutEffect, useRef, useState } from "react";
import { selectReady } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";
import { Avatar } from "@/shared/ui/avatar";
import { Button } from "@/shared/ui/button";
import { EmptyState } from "@/shared/ui/empty-state";
import { ListSkeleton } from "@/shared/ui/skeleton";
import { Time } from "@/shared/ui/time";
import { UserText } from "@/shared/ui/user-text";
import type { Open } from "./chats-screen";
import { NewChat } from "./new-chat";
import { selectChatRows, type ChatRow } from "./selectors";

// Where the list was scrolled to: going from chat to chat is another page each time, but the same list to its reader.
let scrolledTo = 0;

/** All chats; on phones only while none is open. */
export function ChatList({ open }: { readonly open: Open }) {
  const rows = useAppSelector(selectChatRows);
  const ready = useAppSelector(selectReady);
  const [starting, setStarting] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const Heading = open === "none" ? "h1" : "h2";

  useLayoutEffect(() => {
    if (scroller.current) scroller.current.scrollTop = scrolledTo;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    const remember = () => {
      scrolledTo = element?.scrollTop ?? 0;
    };
    element?.addEventListener("scroll", remember, { passive: true });
    return () => element?.removeEventListener("scroll", remember);
  }, []);

  return (
    <div
      className={`relative min-w-0 flex-1 flex-col border-base-300 lg:w-88 lg:max-w-88 lg:flex-none lg:border-r lg:bg-base-100 xl:w-96 xl:max-w-96 ${
        open === "none" ? "flex" : "hidden lg:flex"
      }`}
    >
      <header className="flex h-14 shrink-0 items-center justify-between px-5 lg:h-20">
        <Heading className="text-2xl font-semibold tracking-tight">Chats</Heading>
        <Button
          onClick={() => setStarting(true)}
          className="absolute right-4 bottom-4 z-10 h-14 rounded-full px-5 text-base shadow-lg btn-primary lg:static lg:h-10 lg:px-4 lg:text-sm lg:shadow-none"
        >
          <SquarePen aria-hidden="true" className="size-4.5" />
          New chat
        </Button>
      </header>
      <div ref={scroller} className="flex min-h-0 flex-1 flex-col overflow-y-auto overscroll-contain">
        {rows.length > 0 ? (
          <ul aria-label="Chats" className="flex flex-col gap-0.5 px-2 pb-24 lg:pb-4">
            {rows.map((row) => (
              <Row key={row.id} {...row} current={row.id === open} />
            ))}
          </ul>
        ) : ready ? (
          <EmptyState icon={MessageCirclePlus} title="No chats yet">
            Start one: pick somebody and say hello.
          </EmptyState>
        ) : (
          <ListSkeleton label="Loading the chats" />
        )}
      </div>
      {starting ? <NewChat onClose={() => setStarting(false)} /> : null}
    </div>
  );
}

type RowProps = ChatRow & { readonly current: boolean };

const Row = memo(function Row({ id, title, unread, lastSender, lastText, at, current }: RowProps) {
  const name = `chat-${id}-title`;
  const count = `chat-${id}-unread`;
  return (
    <li>
      <Link
        href={`/chats/${id}/`}
        aria-labelledby={unread > 0 ? `${name} ${count}` : name}
        aria-describedby={`chat-${id}-last`}
        aria-current={current ? "page" : undefined}
        className={`flex items-center gap-3 rounded-2xl px-3 py-3 ${current ? "bg-selected" : "hover:bg-base-300/50"}`}
      >
        <Avatar id={id} name={title} />
        <span className="flex min-w-0 flex-1 flex-col gap-0.5">
          <span className="flex items-baseline gap-3">
            <UserText id={name} className={`flex-1 truncate text-left ${unread > 0 ? "font-bold" : "font-semibold"}`}>
              {title}
            </UserText>
            <Time at={at} className={`shrink-0 text-xs ${unread > 0 ? "font-semibold text-accent" : "text-muted"}`} />
          </span>
          <span className="flex h-6 items-center gap-3">
            <span
              id={`chat-${id}-last`}
              className={`min-w-0 flex-1 truncate text-sm ${unread > 0 ? "text-base-content" : "text-muted"}`}
            >
              {lastText === null ? (
                "No messages yet"
              ) : (
                <>
                  <UserText>{lastSender}</UserText>: <UserText>{lastText}</UserText>
                </>
              )}
            </span>
            {unread > 0 ? (
              <span
                id={count}
                className={`grid h-5.5 min-w-5.5 shrink-0 place-items-center rounded-full bg-accent px-1.5 text-xs font-bold text-accent-content tabular-nums ${current ? "late" : ""}`}
              >
                <span>
                  {unread}
                  <span className="sr-only"> unread</span>
                </span>
              </span>
            ) : null}
          </span>
        </span>
      </Link>
    </li>
  );
});

import { useEffect, useRef, useState } from "react";
import { selectFilling, selectViewer } from "@/shared/live/selectors";
import { liveActions } from "@/shared/live/middleware";
import { useAppDispatch, useAppSelector } from "@/shared/store";
import { Avatar } from "@/shared/ui/avatar";
import { UserText } from "@/shared/ui/user-text";
import { BackToChats } from "./back-to-chats";
import { Composer } from "./composer";
import { MessageLog } from "./message-log";
import { outboxActions, scopeOf } from "./outbox";
import { selectMembers, selectNeedsMore, selectTitle } from "./selectors";
import { useMarkRead } from "./use-mark-read";

/** One open chat: who is in it, what was said, and where to write. */
export function ChatPane({ chat }: { readonly chat: number }) {
  const dispatch = useAppDispatch();
  const viewer = useAppSelector(selectViewer);
  const title = useAppSelector((state) => selectTitle(state, chat));
  const members = useAppSelector((state) => selectMembers(state, chat));
  const needsMore = useAppSelector((state) => selectNeedsMore(state, chat));
  const filling = useAppSelector((state) => selectFilling(state, scopeOf(chat)));
  const [atEnd, setAtEnd] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (needsMore && !filling) dispatch(liveActions.fill({ scope: scopeOf(chat), entity: "message" }));
  }, [dispatch, chat, needsMore, filling]);

  useMarkRead(chat, atEnd);

  function send(text: string) {
    if (viewer === null) return;
    dispatch(outboxActions.written({ chat, sender: viewer, text }));
    scroller.current?.scrollTo({ top: 0 });
  }

  return (
    <>
      <header className="flex h-14 shrink-0 items-center gap-2 border-b border-base-300 bg-base-100 pr-28 pl-1 lg:h-20 lg:gap-3 lg:px-6">
        <BackToChats />
        <span className="hidden lg:block">
          <Avatar id={chat} name={title} />
        </span>
        <div className="flex min-w-0 flex-col">
          <h1 dir="auto" className="user-text truncate text-lg leading-tight font-semibold tracking-tight">
            {title}
          </h1>
          <p className="truncate text-xs text-muted lg:text-sm">
            {members.map(({ id, name }, index) => (
              <span key={id}>
                {index > 0 ? ", " : "with "}
                <UserText>{name}</UserText>
              </span>
            ))}
          </p>
        </div>
      </header>
      <MessageLog chat={chat} viewer={viewer} many={members.length > 2} scroller={scroller} onEnd={setAtEnd} />
      <Composer chat={chat} onSend={send} />
    </>
  );
}

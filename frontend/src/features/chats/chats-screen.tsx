import { MessageCircleDashed, MessagesSquare } from "lucide-react";
import Link from "next/link";
import { useEffect } from "react";
import { useAppDispatch, useAppSelector } from "@/shared/store";
import { EmptyState } from "@/shared/ui/empty-state";
import { Layout } from "@/shared/ui/layout";
import { ChatList } from "./chat-list";
import { ChatPane } from "./chat-pane";
import { ChatSkeleton } from "./chat-skeleton";
import { selectPresence, selectTitle } from "./selectors";
import { chatArrived } from "./started";
import { useUnreadTotal } from "./use-unread-total";

/** Which chat is open: none, one that the address does not say yet (`pending`), or this one. */
export type Open = number | "none" | "pending";

/** The chats, and the open one beside them where there is room; on phones one of both. */
export function ChatsScreen({ open }: { readonly open: Open }) {
  const unread = useUnreadTotal();
  const title = useAppSelector((state) => (typeof open === "number" ? selectTitle(state, open) : ""));
  const presence = useAppSelector((state) => (typeof open === "number" ? selectPresence(state, open) : "coming"));
  const shown = typeof open === "number" && presence === "here";

  return (
    <Layout title={shown ? title : presence === "absent" ? "Nothing here" : "Chats"} unread={unread} yielding={shown}>
      <ChatList open={open} />
      <section
        aria-label={shown ? undefined : "Chat"}
        className={`min-w-0 flex-1 flex-col ${open === "none" ? "hidden lg:flex" : "flex"}`}
      >
        {open === "none" ? (
          <EmptyState icon={MessagesSquare} title="Pick a chat">
            Choose one on the left, or start a new one.
          </EmptyState>
        ) : typeof open === "number" && presence === "here" ? (
          <OpenChat key={open} chat={open} />
        ) : presence === "absent" ? (
          <EmptyState icon={MessageCircleDashed} as="h1" title="This chat does not exist or is not yours">
            <Link href="/chats/" className="btn mt-2 h-11 px-5 btn-primary">
              To the chats
            </Link>
          </EmptyState>
        ) : (
          <ChatSkeleton />
        )}
      </section>
    </Layout>
  );
}

function OpenChat({ chat }: { readonly chat: number }) {
  const dispatch = useAppDispatch();
  const wasStarted = useAppSelector((state) => state.started.includes(chat));

  useEffect(() => {
    if (wasStarted) dispatch(chatArrived(chat));
  }, [dispatch, wasStarted, chat]);

  return <ChatPane chat={chat} />;
}

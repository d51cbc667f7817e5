import { ChevronLeft } from "lucide-react";
import Link from "next/link";

/** On phones, where the list of chats is not beside the chat. */
export function BackToChats() {
  return (
    <Link
      href="/chats/"
      aria-label="Back to the chats"
      className="grid size-11 shrink-0 place-items-center rounded-full hover:bg-base-200 lg:hidden"
    >
      <ChevronLeft aria-hidden="true" className="size-6" />
    </Link>
  );
}

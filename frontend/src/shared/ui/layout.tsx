import { MessageCircle, UserRound, UsersRound } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/router";
import type { ReactNode } from "react";
import { Brand } from "./brand";
import { ConnectionStatus } from "./connection-status";
import { DocumentHead } from "./document-head";

interface LayoutProps {
  /** What the page is about; stands in the document's title. */
  readonly title: string;
  /** Unread messages over all chats. */
  readonly unread: number;
  /** The navigation makes room while an on-screen keyboard is open. */
  readonly yielding?: boolean;
  readonly children: ReactNode;
}

const PLACES = [
  { href: "/chats/", name: "Chats", icon: MessageCircle },
  { href: "/people/", name: "People", icon: UsersRound },
  { href: "/profile/", name: "Profile", icon: UserRound },
] as const;

/** The frame of every signed-in page: navigation below on phones, at the side on wide screens. */
export function Layout({ title, unread, yielding = false, children }: LayoutProps) {
  return (
    <>
      <DocumentHead title={title} unread={unread} />
      <div className="relative flex h-dvh flex-col overflow-hidden lg:flex-row">
        <a
          href="#main"
          className="btn absolute top-2 left-2 z-50 -translate-y-20 btn-primary focus-visible:translate-y-0"
        >
          Skip to content
        </a>
        <nav
          aria-label="Main"
          className={`order-last flex shrink-0 border-t border-base-300 bg-base-100 pb-safe lg:order-none lg:w-24 lg:flex-col lg:items-center lg:gap-2 lg:border-t-0 lg:border-r lg:pt-4 ${yielding ? "yields" : ""}`}
        >
          <span className="mb-4 hidden lg:block">
            <Brand />
          </span>
          {PLACES.map((place) => (
            <Place key={place.href} {...place} badge={place.href === "/chats/" ? unread : 0} />
          ))}
        </nav>
        <div className="pointer-events-none absolute top-0 right-4 z-20 flex h-14 items-center pt-safe lg:right-auto lg:bottom-0 lg:left-0 lg:top-auto lg:w-24 lg:justify-center">
          <ConnectionStatus />
        </div>
        <main id="main" tabIndex={-1} className="flex min-h-0 min-w-0 flex-1 pt-safe outline-none">
          {children}
        </main>
      </div>
    </>
  );
}

interface PlaceProps {
  readonly href: string;
  readonly name: string;
  readonly icon: typeof MessageCircle;
  readonly badge: number;
}

function Place({ href, name, icon: Icon, badge }: PlaceProps) {
  const { pathname } = useRouter();
  const here = `${pathname}/`.startsWith(href);
  return (
    <Link
      href={href}
      aria-current={here ? "page" : undefined}
      className={`group flex h-16 flex-1 flex-col items-center justify-center gap-1 text-xs font-medium lg:w-full lg:flex-none ${
        here ? "text-primary" : "text-muted hover:text-base-content"
      }`}
    >
      <span
        className={`relative grid h-8 w-14 place-items-center rounded-full transition-colors ${
          here ? "bg-selected" : "group-hover:bg-base-200"
        }`}
      >
        <Icon aria-hidden="true" className="size-5.5" strokeWidth={here ? 2.25 : 1.75} />
        {badge > 0 ? (
          <span
            aria-hidden="true"
            className="absolute -top-1.5 left-8 grid h-4.5 min-w-4.5 place-items-center rounded-full bg-accent px-1 text-[0.6875rem] leading-none font-bold text-accent-content tabular-nums"
          >
            {badge > 99 ? "99+" : badge}
          </span>
        ) : null}
      </span>
      {name}
    </Link>
  );
}

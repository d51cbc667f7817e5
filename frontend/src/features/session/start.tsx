import { useRouter } from "next/router";
import { useEffect } from "react";
import { api } from "@/shared/api";
import { selectReady, selectViewer } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";
import { Brand } from "@/shared/ui/brand";
import { DocumentHead, PRODUCT } from "@/shared/ui/document-head";

/** The way in: goes on to the chats or to signing in, or to the page that was asked for where every path opens this one. */
export function Start() {
  const router = useRouter();
  const ready = useAppSelector(selectReady);
  const viewer = useAppSelector(selectViewer);

  useEffect(() => {
    let gone = false;
    const go = (path: string) => {
      if (!gone) void router.replace(path);
    };
    const { pathname, search } = window.location;
    if (pathname !== "/") go(pathname + search);
    else if (ready) go(viewer === null ? "/sign-in/" : "/chats/");
    else
      api.get<{ user: unknown }>("/api/session").then(
        ({ user }) => go(user ? "/chats/" : "/sign-in/"),
        () => go("/chats/"),
      );
    return () => {
      gone = true;
    };
  }, [router, ready, viewer]);

  return (
    <main className="grid min-h-dvh place-items-center">
      <DocumentHead title="Welcome" />
      <h1 className="sr-only">{PRODUCT}</h1>
      <Brand className="size-16" />
    </main>
  );
}

import type { AppContext, AppProps } from "next/app";
import Head from "next/head";
import { useEffect, useState } from "react";
import { Provider } from "react-redux";
import { makeAppStore } from "@/app-store";
import { ErrorBoundary } from "@/shared/error-boundary";
import { browser } from "@/shared/live/environment";
import { liveActions } from "@/shared/live/middleware";
import { selectKept } from "@/shared/live/selectors";
import { NowProvider } from "@/shared/now";
import { BadPageData, readPageData, readShellData, type PageData } from "@/shared/page-data";
import { loadPage, type AppStore } from "@/shared/store";
import "@/styles/globals.css";

interface PageProps {
  readonly data?: PageData;
}

declare global {
  interface Window {
    /** For tests and for the curious: what the page holds. */
    __store__?: Pick<AppStore, "getState">;
  }
}

export default function App({ Component, pageProps, router }: AppProps<PageProps>) {
  // Both are of the document, not of a page: a navigation brings no data and must not lose the store.
  const [data] = useState(pageProps.data ?? null);
  const [store] = useState(() => makeAppStore(data));
  const [signsIn] = useState(router.pathname === "/sign-in");

  useEffect(() => {
    window.__store__ = store;
    const sent = data ?? readShellData();
    // An exported page is hydrated empty, as it was exported; only then comes what the server sent along.
    if (sent && !data) loadPage(store.dispatch, sent);
    // Without any word of the server the socket tells who is signed in.
    if (sent ? sent.user !== null : !signsIn) store.dispatch(liveActions.start());
    return () => void store.dispatch(liveActions.stop());
  }, [store, data, signsIn]);

  useEffect(() => {
    // A document that was left for good, as by signing out, and that the browser took out of its cache again: by now
    // nobody may be signed in, or somebody else. One that is still connected finds that out by itself.
    function onShown({ persisted }: PageTransitionEvent) {
      if (persisted && !selectKept(store.getState())) browser.reload();
    }
    window.addEventListener("pageshow", onShown);
    return () => window.removeEventListener("pageshow", onShown);
  }, [store]);

  return (
    <>
      <Head>
        {/* An on-screen keyboard shortens the page instead of covering where one writes. */}
        <meta
          name="viewport"
          content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
        />
        <meta name="theme-color" content="#f7f5f0" media="(prefers-color-scheme: light)" key="light" />
        <meta name="theme-color" content="#0e1517" media="(prefers-color-scheme: dark)" key="dark" />
        <link rel="icon" type="image/svg+xml" href="/favicon.svg" />
        <link rel="apple-touch-icon" href="/apple-touch-icon.png" />
      </Head>
      <ErrorBoundary>
        <Provider store={store}>
          <NowProvider now={data?.now ?? null}>
            <Component />
          </NowProvider>
        </Provider>
      </ErrorBoundary>
    </>
  );
}

App.getInitialProps = async ({ ctx: { req, res } }: AppContext): Promise<{ pageProps: PageProps }> => {
  // In a browser a navigation asks for nothing: the store is there already.
  if (typeof window !== "undefined" || !req || !res) return { pageProps: {} };
  if (process.env.HARNESS_RUN) res.setHeader("x-harness-run", process.env.HARNESS_RUN);
  try {
    const data = await readPageData(req);
    return { pageProps: data ? { data } : {} };
  } catch (error) {
    if (!(error instanceof BadPageData)) throw error;
    res.statusCode = error.status;
    res.setHeader("Content-Type", "text/plain; charset=utf-8");
    res.end(`${error.message}\n`);
    return { pageProps: {} };
  }
};

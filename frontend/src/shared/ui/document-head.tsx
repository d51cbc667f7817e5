import Head from "next/head";

export const PRODUCT = "Tim's Stack";

interface DocumentHeadProps {
  readonly title: string;
  /** Unread messages over all chats. */
  readonly unread?: number;
}

/** The document's title, and how browsers present the document. */
export function DocumentHead({ title, unread = 0 }: DocumentHeadProps) {
  return (
    <Head>
      <title>{`${unread > 0 ? `(${unread}) ` : ""}${title} · ${PRODUCT}`}</title>
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
  );
}

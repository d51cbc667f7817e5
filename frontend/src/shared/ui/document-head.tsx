import Head from "next/head";

export const PRODUCT = "Tim's Stack";

interface DocumentHeadProps {
  readonly title: string;
  /** Unread messages over all chats. */
  readonly unread?: number;
}

/** The document's title. */
export function DocumentHead({ title, unread = 0 }: DocumentHeadProps) {
  return (
    <Head>
      <title>{`${unread > 0 ? `(${unread}) ` : ""}${title} · ${PRODUCT}`}</title>
    </Head>
  );
}

/**
 * How the data for a page gets to the renderer where Django does not send it along: the renderer asks for it, with the
 * visitor's cookies. Takes the place of `frontend/src/shared/page-data.ts` in the build of the peer.
 */
import type { IncomingMessage } from "node:http";
import type { PageSnapshot } from "./live/types";

export interface PageData {
  readonly version: 1;
  readonly path: string;
  readonly now: string;
  readonly user: number | null;
  readonly snapshot: PageSnapshot | null;
}

export class BadPageData extends Error {
  override readonly name = "BadPageData";

  constructor(
    readonly status: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

const asked = new WeakSet<IncomingMessage>();

export async function readPageData(request: IncomingMessage): Promise<PageData | null> {
  const data = process.env.PEER_DATA_URL;
  // While it is built there is nobody to ask.
  if (!data || asked.has(request)) return null;
  asked.add(request);
  const answer = await fetch(`${data}${request.url}`, {
    headers: { cookie: request.headers.cookie ?? "", "x-forwarded-proto": "https" },
  });
  if (!answer.ok) throw new BadPageData(400, `The data could not be had: ${answer.status}.`);
  return (await answer.json()) as PageData;
}

export function readShellData(): PageData | null {
  return null;
}

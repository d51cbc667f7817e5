/** How the server's data for a page gets here: in the body of the render request, or as a JSON block in an exported page. */
import type { IncomingMessage } from "node:http";
import type { PageSnapshot } from "./live/types";

/** What a page is shown with. `user` and `snapshot` are null while nobody is signed in. */
export interface PageData {
  readonly version: 1;
  readonly path: string;
  /** The server's clock, ISO 8601. */
  readonly now: string;
  readonly user: number | null;
  readonly snapshot: PageSnapshot | null;
}

/** The largest body that is taken, in bytes. */
export const MAX_BODY = 8 * 1024 * 1024;
const VERSION = 1;
const SHELL_BLOCK = "page-data";

/** A render request that can't be rendered; `status` is the answer to it. */
export class BadPageData extends Error {
  override readonly name = "BadPageData";

  constructor(
    readonly status: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

// The error page is rendered for the same request again, and a body can be read once.
const taken = new WeakSet<IncomingMessage>();

/**
 * The data in a render request's body; null if there is none.
 *
 * @throws BadPageData if it is too large, no JSON, or of another version.
 */
export async function readPageData(request: IncomingMessage): Promise<PageData | null> {
  if (request.method !== "POST" || taken.has(request)) return null;
  taken.add(request);
  return parsePageData(await bodyOf(request));
}

/** The data in an exported page that the server sent instead of a rendered one; null if there is none of use. */
export function readShellData(): PageData | null {
  const block = document.getElementById(SHELL_BLOCK)?.textContent;
  if (!block) return null;
  try {
    return parsePageData(block);
  } catch (error) {
    // The live connection brings what is missing.
    console.error(error);
    return null;
  }
}

function parsePageData(text: string): PageData {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new BadPageData(400, "The page data is no JSON.");
  }
  if (typeof data !== "object" || data === null || !("version" in data) || data.version !== VERSION) {
    throw new BadPageData(400, `The page data is not of version ${VERSION}.`);
  }
  return data as PageData;
}

function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let text = "";
    let size = 0;
    request.on("data", (chunk: Uint8Array) => {
      size += chunk.byteLength;
      // What is too large is read to its end all the same, or the client would see a reset instead of the answer.
      if (size <= MAX_BODY) text += decoder.decode(chunk, { stream: true });
      else text = "";
    });
    request.on("end", () => {
      if (size > MAX_BODY) reject(new BadPageData(413, `The page data is larger than ${MAX_BODY} bytes.`));
      else resolve(text + decoder.decode());
    });
    request.on("error", reject);
  });
}

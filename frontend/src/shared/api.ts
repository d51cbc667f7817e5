/** The server's API: same origin, JSON, the session's cookie. */

const UNREACHABLE = "The server can't be reached. Check your connection and try again.";
const UNUSABLE = "The server gave an answer that can't be used. Try again in a moment.";
const CSRF_COOKIES = ["__Host-csrftoken", "csrftoken"];

/** What went wrong, in words for people. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";

  constructor(
    /** The HTTP status; 0 if no answer came. */
    readonly status: number,
    readonly detail: string,
    /** What is wrong with single fields of the input. */
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }
}

/** Every call throws `ApiProblem` if it fails. An empty answer is undefined. */
export const api = {
  get: <T>(path: string) => ask<T>("GET", path),
  post: <T>(path: string, body: unknown) => write<T>("POST", path, body),
  patch: <T>(path: string, body: unknown) => write<T>("PATCH", path, body),
  put: <T>(path: string, body: unknown) => write<T>("PUT", path, body),
  delete: (path: string) => write<void>("DELETE", path),
};

async function write<T>(method: string, path: string, body?: unknown): Promise<T> {
  // An exported page comes without the cookie; asking who is signed in sets it.
  if (!csrfToken()) await ask("GET", "/api/session");
  const headers: Record<string, string> = { "X-CSRFToken": csrfToken() };
  if (body === undefined) return ask<T>(method, path, { headers });
  return ask<T>(method, path, {
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function ask<T>(method: string, path: string, init: { headers?: Record<string, string>; body?: string } = {}) {
  const headers = { Accept: "application/json", ...init.headers };
  const response = await fetch(path, { ...init, method, headers, credentials: "same-origin", cache: "no-store" }).catch(
    () => {
      throw new ApiProblem(0, UNREACHABLE);
    },
  );
  const text = await response.text().catch(() => {
    throw new ApiProblem(0, UNREACHABLE);
  });
  const content = parsed(text);
  if (!response.ok) throw problemOf(response.status, content);
  if (content === null) throw new ApiProblem(response.status, UNUSABLE);
  return content as T;
}

/** The decoded JSON; undefined for an empty text, null for anything that is no JSON. */
function parsed(text: string): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Reads a problem document (RFC 9457); `errors` tells what is wrong with the input, by field or (null) as a whole. */
function problemOf(status: number, content: unknown): ApiProblem {
  const document = isRecord(content) ? content : {};
  const errors = Array.isArray(document.errors) ? document.errors.filter(isRecord) : [];
  const fields: Record<string, string> = {};
  for (const { field, detail } of errors) {
    if (typeof field === "string" && typeof detail === "string") fields[field] ??= detail;
  }
  const general = errors.find(({ field }) => field === null)?.detail ?? document.detail;
  return new ApiProblem(status, typeof general === "string" ? general : UNUSABLE, fields);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function csrfToken(): string {
  const cookies = new Map(
    document.cookie.split("; ").map((cookie) => {
      const at = cookie.indexOf("=");
      return [cookie.slice(0, at), cookie.slice(at + 1)];
    }),
  );
  return CSRF_COOKIES.map((name) => cookies.get(name)).find(Boolean) ?? "";
}

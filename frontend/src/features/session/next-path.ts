const HOME = "/chats/";

/** Where to go after signing in: `next` of the address, if it leads to a page of this site. */
export function nextPath({ search, origin }: { readonly search: string; readonly origin: string }): string {
  const next = new URLSearchParams(search).get("next") ?? "";
  if (!/^\/(?![/\\])/.test(next)) return HOME;
  // Browsers drop tabs and line breaks in addresses, and dots between slashes: only what they make of it tells where it leads.
  const target = new URL(next, origin);
  return target.origin === origin && !target.pathname.startsWith("//")
    ? target.pathname + target.search + target.hash
    : HOME;
}

import type { Zone } from "./time-format";
import { useHydrated } from "./use-hydrated";

/** UTC until the page is hydrated, so that server and browser write the same; then the reader's own zone. */
export function useZone(): Zone {
  return useHydrated() ? "local" : "utc";
}

import { useNow } from "@/shared/now";
import { clockTime, dayLabel, fullTime, relativeTime } from "./time-format";
import { useZone } from "./use-zone";

interface TimeProps {
  /** ISO 8601. */
  readonly at: string;
  /** How long ago, the day, or the time of day. */
  readonly as?: "relative" | "day" | "clock";
  readonly className?: string;
}

/** A time as people read it; the same on the server and in the first render of the browser. */
export function Time({ at, as = "relative", className = "" }: TimeProps) {
  const now = useNow();
  const zone = useZone();
  const text =
    as === "clock" ? clockTime(at, zone) : as === "day" ? dayLabel(at, now, zone) : relativeTime(at, now, zone);
  return (
    <time dateTime={at} title={fullTime(at, zone)} className={`tabular-nums ${className}`}>
      {text}
    </time>
  );
}

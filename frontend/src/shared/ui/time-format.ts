/** Times as people read them: always in English, in UTC or in the reader's own zone, never by the machine's locale. */

export type Zone = "utc" | "local";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

interface Parts {
  readonly year: number;
  readonly month: string;
  readonly date: number;
  readonly weekday: string;
  readonly clock: string;
  /** Counts days, so that two days can be compared. */
  readonly day: number;
}

/** How long ago `at` was, shortly: "now", "5 min", "3 h", "Tue", "12 Nov", "12 Nov 2025". */
export function relativeTime(at: string, now: number, zone: Zone): string {
  const then = Date.parse(at);
  const age = now - then;
  if (age < MINUTE) return "now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h`;
  const [was, is] = [parts(then, zone), parts(now, zone)];
  if (is.day - was.day < 7) return was.weekday.slice(0, 3);
  const date = `${was.date} ${was.month.slice(0, 3)}`;
  return was.year === is.year ? date : `${date} ${was.year}`;
}

/** The day `at` lies in: "Today", "Yesterday", "Tuesday", "12 November", "12 November 2025". */
export function dayLabel(at: string, now: number, zone: Zone): string {
  const [was, is] = [parts(Date.parse(at), zone), parts(now, zone)];
  const ago = is.day - was.day;
  if (ago <= 0) return "Today";
  if (ago === 1) return "Yesterday";
  if (ago < 7) return was.weekday;
  const date = `${was.date} ${was.month}`;
  return was.year === is.year ? date : `${date} ${was.year}`;
}

/** The time of day, "09:05". */
export function clockTime(at: string, zone: Zone): string {
  return parts(Date.parse(at), zone).clock;
}

/** All of it, "Tuesday 17 November 2026, 09:05". */
export function fullTime(at: string, zone: Zone): string {
  const { weekday, date, month, year, clock } = parts(Date.parse(at), zone);
  return `${weekday} ${date} ${month} ${year}, ${clock}${zone === "utc" ? " UTC" : ""}`;
}

/** A number that is the same for all times of one day, and one higher for the next. */
export function dayNumber(at: string, zone: Zone): number {
  return parts(Date.parse(at), zone).day;
}

function parts(time: number, zone: Zone): Parts {
  // The zone's wall clock, written as if it were UTC: one set of getters serves both zones.
  const offset = zone === "utc" ? 0 : new Date(time).getTimezoneOffset() * MINUTE;
  const wall = new Date(time - offset);
  return {
    year: wall.getUTCFullYear(),
    month: MONTHS[wall.getUTCMonth()] ?? "",
    date: wall.getUTCDate(),
    weekday: WEEKDAYS[wall.getUTCDay()] ?? "",
    clock: `${two(wall.getUTCHours())}:${two(wall.getUTCMinutes())}`,
    day: Math.floor((time - offset) / DAY),
  };
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

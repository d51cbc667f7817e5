import { describe, expect, test } from "vitest";
import { clockTime, dayLabel, fullTime, relativeTime } from "./time-format";

const NOW = Date.parse("2026-11-23T09:00:00Z"); // a Monday

describe("relative times", () => {
  test.each([
    ["2026-11-23T09:00:30Z", "now"],
    ["2026-11-23T08:59:01Z", "now"],
    ["2026-11-23T08:59:00Z", "1 min"],
    ["2026-11-23T08:00:00.001Z", "59 min"],
    ["2026-11-23T08:00:00Z", "1 h"],
    ["2026-11-22T09:00:01Z", "23 h"],
    ["2026-11-22T09:00:00Z", "Sun"],
    ["2026-11-17T00:00:00Z", "Tue"],
    ["2026-11-16T23:59:59Z", "16 Nov"],
    ["2026-01-01T00:00:00Z", "1 Jan"],
    ["2025-12-31T23:59:59Z", "31 Dec 2025"],
  ])("%s is %s", (at, text) => expect(relativeTime(at, NOW, "utc")).toBe(text));
});

describe("days", () => {
  test.each([
    ["2026-11-24T01:00:00Z", "Today"],
    ["2026-11-23T00:00:00Z", "Today"],
    ["2026-11-22T23:59:59Z", "Yesterday"],
    ["2026-11-21T12:00:00Z", "Saturday"],
    ["2026-11-16T12:00:00Z", "16 November"],
    ["2025-11-23T12:00:00Z", "23 November 2025"],
  ])("%s is %s", (at, text) => expect(dayLabel(at, NOW, "utc")).toBe(text));
});

test("the time of day, and all of it, say in which zone", () => {
  expect(clockTime("2026-11-17T09:05:59.999Z", "utc")).toBe("09:05");
  expect(fullTime("2026-11-17T09:05:00Z", "utc")).toBe("Tuesday 17 November 2026, 09:05 UTC");
  const local = new Date(2026, 10, 17, 9, 5).toISOString();
  expect(fullTime(local, "local")).toBe("Tuesday 17 November 2026, 09:05");
});

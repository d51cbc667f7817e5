import { act, render, screen } from "@testing-library/react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NowProvider, useNow } from "./now";

const SERVED = "2026-11-23T09:00:00.000Z";

function Clock() {
  return <output>{useNow()}</output>;
}

const page = (
  <NowProvider now={SERVED}>
    <Clock />
  </NowProvider>
);

beforeEach(() => void vi.useFakeTimers({ now: new Date("2026-11-23T10:00:00.000Z") }));
afterEach(() => void vi.useRealTimers());

it("is the server's until the page is hydrated, then this machine's", () => {
  const error = vi.spyOn(console, "error");
  const container = document.createElement("div");
  container.innerHTML = renderToString(page);
  expect(container).toHaveTextContent(String(Date.parse(SERVED)));
  render(page, { container, hydrate: true });
  expect(container).toHaveTextContent(String(Date.parse("2026-11-23T10:00:00.000Z")));
  expect(error, "a hydration error").not.toHaveBeenCalled();
});

it("ticks every 30 seconds, and stops with the last who looks", () => {
  const { unmount } = render(page);
  act(() => vi.advanceTimersByTime(30_000));
  expect(screen.getByRole("status")).toHaveTextContent(String(Date.parse("2026-11-23T10:00:30.000Z")));
  unmount();
  expect(vi.getTimerCount()).toBe(0);
});

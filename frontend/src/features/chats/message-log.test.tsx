import { act, render, screen } from "@testing-library/react";
import { createRef, Profiler } from "react";
import { Provider } from "react-redux";
import { beforeEach, expect, test, vi } from "vitest";
import type { AppStore } from "@/shared/store";
import { MessageLog } from "./message-log";
import { arrive, ME, message, storeWith, upsert } from "./testing";

const rendered = vi.fn();
let store: AppStore;

beforeEach(() => {
  const messages = [
    message(1, 1, { created_at: "2001-01-01T12:00:00Z" }),
    message(1, 2, { created_at: "2001-02-02T12:00:00Z" }),
    message(1, 3, { created_at: "2001-02-02T12:01:00Z" }),
  ];
  store = storeWith([{ id: 1, messages }, { id: 2 }]);
  render(
    <Provider store={store}>
      <Profiler id="log" onRender={rendered}>
        <MessageLog chat={1} viewer={ME} many scroller={createRef()} onEnd={() => undefined} />
      </Profiler>
    </Provider>,
  );
  rendered.mockReset();
});

test("each day stands once above its messages", () => {
  expect(
    screen.getAllByRole("listitem").map((item) => item.querySelector("p")?.textContent ?? item.textContent),
  ).toEqual(["1 January 2001", "text 1", "2 February 2001", "text 2", "text 3"]);
});

test("what happens in other chats does not render it", () => {
  act(() => arrive(store, "chat:2", [upsert("message", message(2, 1))]));
  expect(rendered).not.toHaveBeenCalled();
  act(() => arrive(store, "chat:1", [upsert("message", message(1, 4))]));
  expect(rendered).toHaveBeenCalled();
  expect(screen.getByText("text 4")).toBeInTheDocument();
});

import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { Provider } from "react-redux";
import { expect, test, vi } from "vitest";
import { api, ApiProblem } from "@/shared/api";
import { NowProvider } from "@/shared/now";
import { Bubble } from "./bubble";
import { outboxActions } from "./outbox";
import { selectLines } from "./selectors";
import { ME, storeWith } from "./testing";

function show(text: string) {
  render(
    <Provider store={storeWith([])}>
      <NowProvider now="2026-11-23T09:00:00Z">
        <ol>
          <Bubble
            line={{
              key: "8:c",
              clientId: "c",
              sender: 8,
              text,
              at: "2026-11-23T08:00:00Z",
              state: "sent",
              problem: "",
            }}
            own={false}
            many={false}
            first
            last
          />
        </ol>
      </NowProvider>
    </Provider>,
  );
  const item = screen.getByRole("listitem");
  return { item, body: item.querySelector("[data-text]") as HTMLElement };
}

test.each([
  "<script>alert(1)</script><img src=x onerror=alert(1)>",
  "javascript:alert(1) https://example.org/",
  "\u202Egnp.exe \u2066open",
  "  two\n\n\tlines  ",
])("%j stays text, as it was written", (text) => {
  const { item, body } = show(text);
  expect(body.textContent).toBe(text);
  expect(body).toHaveAttribute("dir", "auto");
  expect(item.querySelector("script, img, a")).toBeNull();
});

test("a message says whose it is", () => {
  expect(within(show("hello").item).getByText("Amara Okafor")).toBeInTheDocument();
});

test("a long message is folded, with all of its text in the markup", async () => {
  const text = "word ".repeat(2000).trim();
  const { body } = show(text);
  expect(body).toHaveClass("clipped");
  expect(body.textContent).toBe(text);
  await userEvent.click(screen.getByRole("button", { name: "Show more" }));
  expect(body).not.toHaveClass("clipped");
  expect(screen.getByRole("button", { name: "Show less" })).toHaveAttribute("aria-expanded", "true");
});

test.each(["Try again", "Discard"])(
  "a failed message leaves the keyboard among the messages after: %s",
  async (name) => {
    const post = vi.spyOn(api, "post").mockRejectedValue(new ApiProblem(503, "The server is away."));
    const store = storeWith([{ id: 1 }]);
    store.dispatch(outboxActions.written({ chat: 1, sender: ME, text: "hello" }));
    await vi.waitFor(() => expect(selectLines(store.getState(), 1)[0]?.state).toBe("failed"));
    const [line] = selectLines(store.getState(), 1);
    if (!line) throw new Error("no line");
    render(
      <Provider store={store}>
        <div role="log" tabIndex={0}>
          <Bubble line={line} own many={false} first last />
        </div>
      </Provider>,
    );
    expect(screen.getByRole("alert")).toHaveTextContent("The server is away.");
    await userEvent.click(screen.getByRole("button", { name }));
    expect(screen.getByRole("log")).toHaveFocus();
    await vi.waitFor(() => expect(post).toHaveBeenCalledTimes(name === "Discard" ? 1 : 2));
    if (name === "Discard") expect(store.getState().outbox).toEqual([]);
  },
);

import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { Provider } from "react-redux";
import { expect, test } from "vitest";
import { NowProvider } from "@/shared/now";
import { Bubble } from "./bubble";
import { storeWith } from "./testing";

function show(text: string) {
  render(
    <Provider store={storeWith([])}>
      <NowProvider now="2026-11-23T09:00:00Z">
        <ol>
          <Bubble
            clientId="c"
            sender={8}
            text={text}
            at="2026-11-23T08:00:00Z"
            state="sent"
            problem=""
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

import { createEvent, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import { Composer } from "./composer";

const send = vi.fn<(text: string) => void>();
let chat = 0;

function area() {
  return screen.getByRole("textbox", { name: "Message" });
}

beforeEach(() => {
  send.mockReset();
  chat += 1;
  render(<Composer chat={chat} onSend={send} />);
});

test("Enter sends, Shift and Enter begins a line", async () => {
  await userEvent.type(area(), "one{Shift>}{Enter}{/Shift}two{Enter}");
  expect(send).toHaveBeenCalledExactlyOnceWith("one\ntwo");
  expect(area()).toHaveValue("");
  expect(area()).toHaveFocus();
});

test("blanks alone are not sent", async () => {
  await userEvent.type(area(), "  {Enter}");
  expect(send).not.toHaveBeenCalled();
});

test.each([
  ["most browsers", { isComposing: true }],
  ["Safari, where the composition has just ended", { keyCode: 229 }],
])("Enter that picks a word does not send: %s", async (_, init) => {
  await userEvent.type(area(), "日本");
  const press = createEvent.keyDown(area(), { key: "Enter", ...init });
  fireEvent(area(), press);
  expect(press.defaultPrevented).toBe(false);
  expect(send).not.toHaveBeenCalled();
});

test("what was written and not sent is there when one comes back", async () => {
  await userEvent.type(area(), "half a thou");
  const { unmount } = render(<Composer chat={chat + 1000} onSend={send} />);
  unmount();
  render(<Composer chat={chat} onSend={send} />);
  expect(screen.getAllByRole("textbox").at(-1)).toHaveValue("half a thou");
});

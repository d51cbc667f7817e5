import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test, vi } from "vitest";
import { Dialog } from "./dialog";

const close = vi.fn();

beforeEach(() => {
  close.mockReset();
  // Here there is no top layer; `open` is what the browser's own method sets.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
  render(
    <Dialog title="Ask" onClose={close}>
      <input aria-label="Answer" data-autofocus="" />
    </Dialog>,
  );
});

test("is named by its title, and begins where one types", () => {
  expect(screen.getByRole("dialog", { name: "Ask" })).toBeInTheDocument();
  expect(screen.getByRole("textbox")).toHaveFocus();
});

test("a press beside it closes it", async () => {
  await userEvent.click(screen.getByRole("dialog"));
  expect(close).toHaveBeenCalledOnce();
});

test("text that is selected beyond its edge does not", async () => {
  const [inside, outside] = [screen.getByRole("textbox"), screen.getByRole("dialog")];
  await userEvent.pointer([{ keys: "[MouseLeft>]", target: inside }, { target: outside }, { keys: "[/MouseLeft]" }]);
  // Browsers send the click to what holds both.
  outside.click();
  expect(close).not.toHaveBeenCalled();
});

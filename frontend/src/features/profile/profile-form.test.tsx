import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";
import { api, ApiProblem } from "@/shared/api";
import type { Profile } from "@/shared/live/types";
import { ProfileForm } from "./profile-form";

const BEFORE: Profile = { id: 7, user: 7, first_name: "Tim", last_name: "Berger", bio: "" };

function first() {
  return screen.getByRole("textbox", { name: "First name" });
}

function last() {
  return screen.getByRole("textbox", { name: "Last name" });
}

async function rename(name: string) {
  await userEvent.clear(first());
  await userEvent.type(first(), name);
}

test("live changes show, but not in a field that is being edited", async () => {
  const { rerender } = render(<ProfileForm profile={BEFORE} />);
  await rename("Timo");
  rerender(<ProfileForm profile={{ ...BEFORE, first_name: "Else", last_name: "Where" }} />);
  expect(first()).toHaveValue("Timo");
  expect(last()).toHaveValue("Where");
});

test("only what was edited is saved, and it does not jump back before it comes in live", async () => {
  const patch = vi.spyOn(api, "patch").mockResolvedValue(undefined);
  const { rerender } = render(<ProfileForm profile={BEFORE} />);
  await rename("Timo");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByText("Saved")).toBeInTheDocument();
  expect(patch).toHaveBeenCalledExactlyOnceWith("/api/profile", { first_name: "Timo" });
  expect(first()).toHaveValue("Timo");

  rerender(<ProfileForm profile={{ ...BEFORE, first_name: "Timo" }} />);
  rerender(<ProfileForm profile={{ ...BEFORE, first_name: "Thomas" }} />);
  expect(first()).toHaveValue("Thomas");
});

test("what was saved stays when more is saved before it comes in live", async () => {
  vi.spyOn(api, "patch").mockResolvedValue(undefined);
  render(<ProfileForm profile={BEFORE} />);
  await rename("Timo");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await screen.findByText("Saved");
  await userEvent.type(last(), "s");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  await screen.findByText("Saved");
  expect(first()).toHaveValue("Timo");
  expect(last()).toHaveValue("Bergers");
});

test("what is wrong stands at its field, and what was typed stays", async () => {
  vi.spyOn(api, "patch").mockRejectedValue(new ApiProblem(400, "The input is not valid.", { first_name: "Too long." }));
  render(<ProfileForm profile={BEFORE} />);
  await rename("Timo");
  await userEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByRole("alert")).toHaveTextContent("The input is not valid.");
  expect(first()).toHaveAccessibleDescription("Too long.");
  expect(first()).toHaveValue("Timo");
});

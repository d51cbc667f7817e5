import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach, expect, vi } from "vitest";

let said: string[] = [];

// React's warnings are errors; a test that expects one brings its own implementation.
beforeEach(() => {
  said = [];
  for (const level of ["warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...words) => void said.push(words.map(String).join(" ")));
  }
});

afterEach(() => {
  cleanup();
  expect(said, "said on the console").toEqual([]);
});

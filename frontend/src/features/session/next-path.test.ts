import { expect, test } from "vitest";
import { nextPath } from "./next-path";

test.each([
  ["/chats/42/", "/chats/42/"],
  ["/people/?a=1#b", "/people/?a=1#b"],
  ["", "/chats/"],
  ["chats", "/chats/"],
  ["//evil.example/", "/chats/"],
  ["/\\evil.example/", "/chats/"],
  ["/\t/evil.example/", "/chats/"],
  ["/.//evil.example/", "/chats/"],
  ["/a/..//evil.example/", "/chats/"],
  ["/%2e//evil.example/", "/chats/"],
  ["https://evil.example/", "/chats/"],
  ["javascript:alert(1)", "/chats/"],
])("next=%j leads to %s", (next, path) => {
  expect(nextPath({ search: `?next=${encodeURIComponent(next)}`, origin: "https://app.example" })).toBe(path);
});

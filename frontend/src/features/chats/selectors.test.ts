import { describe, expect, test } from "vitest";
import {
  selectChatRows,
  selectLines,
  selectMembers,
  selectPresence,
  selectTitle,
  selectUnreadTotal,
} from "./selectors";
import { chatStarted } from "./started";
import { arrive, message, storeWith, upsert } from "./testing";

describe("titles", () => {
  test.each([
    ["its own title first", { title: "Crew", members: [7, 8] }, "Crew"],
    ["else the others, by name", { members: [7, 9, 8] }, "Amara Okafor, user 9"],
    ["else only you", { members: [7] }, "Only you"],
  ])("%s", (_, chat, title) => {
    const state = storeWith([{ id: 1, ...chat }]).getState();
    expect(selectTitle(state, 1)).toBe(title);
    expect(selectChatRows(state)[0]?.title).toBe(title);
  });

  test("members are all of them, by name, whoever cannot be seen by number", () => {
    const state = storeWith([{ id: 1, members: [44, 7, 9, 8] }]).getState();
    expect(selectMembers(state, 1).map(({ name }) => name)).toEqual([
      "Amara Okafor",
      "Tim Berger",
      "user 44",
      "user 9",
    ]);
  });
});

test("the chat in which something happened last is on top, by its last message or else by its start", () => {
  const state = storeWith([
    { id: 1, messages: [message(1, 1, { created_at: "2026-11-23T07:00:00Z" })] },
    { id: 2, messages: [message(2, 1, { created_at: "2026-11-23T07:00:00.500Z" })] },
    { id: 3, createdAt: "2026-11-23T09:00:00Z" },
    { id: 4, createdAt: "2026-11-22T09:00:00Z" },
  ]).getState();
  expect(selectChatRows(state).map(({ id }) => id)).toEqual([3, 2, 1, 4]);
});

test("unread is what came after the mark, also if the messages are not held, and never negative", () => {
  const chats = [
    { id: 1, lastNumber: 9 },
    { id: 2, lastNumber: 3 },
    { id: 3, lastNumber: 2 },
  ];
  const state = storeWith(chats, { 1: 4, 3: 5 }).getState();
  expect(Object.fromEntries(selectChatRows(state).map(({ id, unread }) => [id, unread]))).toEqual({ 1: 5, 2: 3, 3: 0 });
  expect(selectUnreadTotal(state)).toBe(8);
});

test("a row says who said what last", () => {
  const state = storeWith([
    { id: 1, messages: [message(1, 1), message(1, 2, { sender: 7, text: "last" })] },
  ]).getState();
  expect(selectChatRows(state)[0]).toMatchObject({ lastSender: "Tim Berger", lastText: "last" });
});

test("nothing is worked out anew for a change elsewhere", () => {
  const store = storeWith([{ id: 1, messages: [message(1, 1)] }, { id: 2 }]);
  const [rows, lines] = [selectChatRows(store.getState()), selectLines(store.getState(), 1)];
  arrive(store, "user:7", [upsert("job", { id: 5, progress: 10 })]);
  expect(selectChatRows(store.getState())).toBe(rows);
  arrive(store, "chat:2", [upsert("message", message(2, 1))]);
  expect(selectLines(store.getState(), 1)).toBe(lines);
  expect(selectChatRows(store.getState())).not.toBe(rows);
});

test("a chat that was just started is awaited, any other that is not held is absent", () => {
  const store = storeWith([{ id: 1 }]);
  store.dispatch(chatStarted(2));
  expect([1, 2, 3].map((id) => selectPresence(store.getState(), id))).toEqual(["here", "coming", "absent"]);
});

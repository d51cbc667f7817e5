import { beforeEach, describe, expect, it } from "vitest";
import { nameOf, selectAll, selectBound, selectById, selectInScope, selectReady, selectViewer } from "./selectors";
import { liveReducer, received } from "./slice";
import { emptyState } from "./store-logic";
import type { EventFrame, LiveState, Op, WireWindow } from "./types";

const SCOPES: Record<string, WireWindow> = {
  "user:7": { entities: { read_mark: [{ id: 1, user: 7, chat: 1, number: 3 }] }, bounds: {} },
  "profile:8": { entities: { profile: [{ id: 8, user: 8, first_name: "Ada", last_name: "", bio: "" }] }, bounds: {} },
  "profile:9": { entities: { profile: [{ id: 9, user: 9, first_name: "", last_name: " ", bio: "" }] }, bounds: {} },
  "chat:2": {
    entities: { chat: [{ id: 2, title: "b" }], message: [{ id: 30, chat: 2, number: 2 }] },
    bounds: { message: null },
  },
  "chat:1": {
    entities: {
      chat: [{ id: 1, title: "a" }],
      message: [
        { id: 11, chat: 1, number: 6 },
        { id: 12, chat: 1, number: 5 },
      ],
    },
    bounds: { message: [5, 12] },
  },
};

let state: { live: LiveState };

function dispatch(action: Parameters<typeof liveReducer>[1]) {
  state = { live: liveReducer(state.live, action) };
}

function happens(scope: string, ...ops: Op[]) {
  const frame: EventFrame = { type: "event", seq: state.live.seq + 1, prev: 0, scope, ops };
  dispatch(received.eventReceived(frame));
}

beforeEach(() => {
  state = { live: emptyState() };
  dispatch(
    received.pageLoaded({ user: 7, snapshot: { epoch: "e", seq: 10, orders: { message: "number" }, scopes: SCOPES } }),
  );
});

describe("what is selected", () => {
  it("is nothing before there is a snapshot", () => {
    const empty = { live: emptyState() };
    expect(selectReady(empty)).toBe(false);
    expect(selectViewer(empty)).toBeNull();
    expect(selectAll(empty, "chat")).toEqual([]);
    expect(selectInScope(empty, "chat:1", "message")).toEqual([]);
    expect(selectBound(empty, "chat:1", "message")).toBeUndefined();
  });

  it("is all of a type, by id, whatever scope it lies in", () => {
    expect(selectReady(state)).toBe(true);
    expect(selectViewer(state)).toBe(7);
    expect(selectAll(state, "chat").map(({ title }) => title)).toEqual(["a", "b"]);
    expect(selectById(state, "message", 30)).toEqual({ id: 30, chat: 2, number: 2 });
    expect(selectById(state, "message", 31)).toBeUndefined();
  });

  it("is one scope's, long types in their order", () => {
    expect(selectInScope(state, "chat:1", "message").map(({ number }) => number)).toEqual([5, 6]);
    expect(selectBound(state, "chat:1", "message")).toEqual([5, 12]);
    expect(selectBound(state, "chat:2", "message")).toBeNull();
  });

  it("has an entity once while it moves from scope to scope", () => {
    happens("chat:2", { op: "upsert", type: "message", id: 11, data: { id: 11, chat: 2, number: 3 } });
    expect(selectAll(state, "message").map(({ id }) => id)).toEqual([11, 12, 30]);
  });

  it("names people by their profile, or by number", () => {
    expect([8, 9, 10].map((user) => nameOf(state, user))).toEqual(["Ada", "user 9", "user 10"]);
  });
});

describe("a result", () => {
  it("stays the same object while nothing in it has changed", () => {
    const before = {
      chats: selectAll(state, "chat"),
      profiles: selectAll(state, "profile"),
      chat: selectById(state, "chat", 1),
      other: selectInScope(state, "chat:2", "message"),
      messages: selectInScope(state, "chat:1", "message"),
      all: selectAll(state, "message"),
    };
    happens("chat:1", { op: "upsert", type: "message", id: 13, data: { id: 13, chat: 1, number: 7 } });
    dispatch(received.heartbeatReceived({ type: "heartbeat", epoch: "e", seq: 20 }));
    dispatch(received.linkChanged("live"));
    expect(selectAll(state, "chat")).toBe(before.chats);
    expect(selectAll(state, "profile")).toBe(before.profiles);
    expect(selectById(state, "chat", 1)).toBe(before.chat);
    expect(selectInScope(state, "chat:2", "message")).toBe(before.other);
    expect(selectAll(state, "message").map(({ id }) => id)).toEqual([11, 12, 13, 30]);
    expect(selectInScope(state, "chat:1", "message").map(({ id }) => id)).toEqual([12, 11, 13]);
    expect(selectAll(state, "job"), "none").toBe(selectAll(state, "job"));
    expect(selectInScope(state, "chat:9", "job")).toBe(selectInScope(state, "chat:1", "job"));
  });

  it("changes when a scope comes or goes", () => {
    const chats = selectAll(state, "chat");
    happens("user:7", { op: "leave", scope: "chat:1" });
    expect(selectAll(state, "chat").map(({ id }) => id)).toEqual([2]);
    happens("user:7", { op: "enter", scope: "chat:1", window: SCOPES["chat:1"] ?? null });
    expect(selectAll(state, "chat")).toEqual(chats);
  });

  it("of one store is never another's", () => {
    const mine = selectAll(state, "read_mark");
    const theirs = {
      live: liveReducer(
        undefined,
        received.pageLoaded({ user: 8, snapshot: { epoch: "e", seq: 1, orders: {}, scopes: {} } }),
      ),
    };
    expect(mine).toHaveLength(1);
    expect(selectAll(theirs, "read_mark")).toEqual([]);
  });
});

/** What the shared vectors leave open. */
import { describe, expect, it } from "vitest";
import { liveReducer, received } from "./slice";
import { emptyState } from "./store-logic";
import type { Entity, LiveState, WireWindow } from "./types";

const HELD: Entity = { id: 30, number: 5, text: "held" };

function held(): LiveState {
  const scopes = { "chat:1": { entities: { message: [HELD] }, bounds: { message: [5, 30] } } } as const;
  const snapshot = { epoch: "e", seq: 10, orders: { message: "number" }, scopes };
  return liveReducer(emptyState(), received.pageLoaded({ user: 7, snapshot }));
}

function messages(state: LiveState) {
  return state.windows["chat:1"]?.entities.message;
}

describe("the bound", () => {
  it("belongs to the window itself", () => {
    const data = { ...HELD, text: "edited" };
    const ops = [{ op: "upsert", type: "message", id: 30, data }] as const;
    const state = liveReducer(
      held(),
      received.eventReceived({ type: "event", seq: 11, prev: 10, scope: "chat:1", ops }),
    );
    expect(messages(state)).toEqual({ 30: data });
  });
});

describe("a page", () => {
  const page = {
    type: "page",
    id: 1,
    scope: "chat:1",
    entity: "message",
    epoch: "e",
    seq: 10,
    items: [{ id: 29, number: 4 }, { ...HELD }],
    bound: [4, 29],
  } as const;

  it("leaves what is held as it is", () => {
    const asked = liveReducer(held(), received.asked({ scope: "chat:1", entity: "message" }));
    const state = liveReducer(asked, received.pageReceived(page));
    expect(Object.keys(messages(state) ?? {})).toEqual(["29", "30"]);
    expect(messages(state)?.[30]).toBe(messages(asked)?.[30]);
  });

  it("that nobody waits for any more changes nothing", () => {
    const state = held();
    expect(liveReducer(state, received.pageReceived(page))).toBe(state);
  });
});

describe("a lost connection", () => {
  it("leaves nothing to wait for", () => {
    let state = liveReducer(held(), received.linkChanged("live"));
    state = liveReducer(state, received.asked({ scope: "chat:1", entity: null }));
    expect(liveReducer(state, received.linkChanged("connecting")).asked).toEqual({});
  });
});

describe("names on the wire", () => {
  it.each(["__proto__", "constructor", "toString"])("are keys and nothing else: %s", (name) => {
    const nothing = received.eventReceived({ type: "event", seq: 11, prev: 0, scope: name, ops: [] });
    expect(liveReducer(held(), nothing).counts).toMatchObject({ ignored: 1, applied: 0 });

    const window = JSON.parse(`{"entities": {"${name}": [{"id": 1}]}, "bounds": {"${name}": [0, 1]}}`) as WireWindow;
    const scopes = JSON.parse(
      `{"${name}": ${JSON.stringify(window)}, "other": {"entities": {}, "bounds": {}}}`,
    ) as object;
    let state = liveReducer(
      undefined,
      received.snapshotReceived({ type: "snapshot", user: 7, epoch: "e", seq: 10, scopes: { ...scopes } }),
    );
    for (const scope of [name, "other"]) {
      const ops = [{ op: "upsert", type: name, id: 2, data: { id: 2 } }] as const;
      state = liveReducer(state, received.eventReceived({ type: "event", seq: 11, prev: 0, scope, ops }));
    }
    expect(Object.keys(state.windows).sort()).toEqual([name, "other"].sort());
    expect(Object.keys(state.windows[name]?.entities[name] ?? {})).toEqual(["1", "2"]);
    expect(state.windows[name]?.bounds[name]).toEqual([0, 1]);
    expect(Object.keys(state.windows.other?.entities[name] ?? {})).toEqual(["2"]);
    expect({}).not.toHaveProperty("2");
  });
});

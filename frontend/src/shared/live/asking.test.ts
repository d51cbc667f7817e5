import { beforeEach, describe, expect, it, vi } from "vitest";
import { selectAll, selectBound, selectFilling } from "./selectors";
import type { Bound, WireWindow } from "./types";
import { type World, chatWindow, event, heartbeat, message, snapshot, upsert, worldOfEachTest } from "./world.testing";

let world: World;
const current = worldOfEachTest();
beforeEach(() => void (world = current()));

describe("a stale scope", () => {
  const requests = () => world.last.sent.filter(({ type }) => type === "load");

  it("is loaded once, after a random part of a second", () => {
    world.goesLive();
    world.says(event(11, 10, [{ op: "stale" }]));
    vi.advanceTimersByTime(499);
    world.says(heartbeat(11));
    expect(requests()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(requests()).toEqual([{ type: "load", id: 1, scope: "chat:1" }]);
    world.says(event(12, 11, [upsert(7)]));
    vi.advanceTimersByTime(5_000);
    expect(requests()).toHaveLength(1);
    world.says({ type: "scope", id: 1, scope: "chat:1", epoch: "e", seq: 11, window: chatWindow() });
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([105, 107]);
    expect(world.state.live.windows["chat:1"]).toMatchObject({ at: 12, stale: false });
    vi.advanceTimersByTime(5_000);
    expect(requests()).toHaveLength(1);
  });

  it("is asked for again over the next connection if the last one brought no answer", () => {
    world.goesLive();
    world.says(event(11, 10, [{ op: "stale" }]));
    vi.advanceTimersByTime(500);
    world.hangsUp();
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    vi.advanceTimersByTime(1_000);
    expect(requests(), "not before it is up to date").toEqual([]);
    world.says(heartbeat(11));
    vi.advanceTimersByTime(500);
    expect(requests()).toEqual([{ type: "load", id: 2, scope: "chat:1" }]);
  });

  it("of one's own is loaded without delay", () => {
    world.goesLive();
    world.says(event(11, 0, [{ op: "stale" }], "user:7"));
    vi.advanceTimersByTime(0);
    expect(requests()).toEqual([{ type: "load", id: 1, scope: "user:7" }]);
  });
});

describe("filling", () => {
  const requests = () => world.last.sent.filter(({ type }) => type === "page");
  const page = (bound: Bound | null) =>
    ({
      type: "page",
      id: 1,
      scope: "chat:1",
      entity: "message",
      epoch: "e",
      seq: 10,
      items: [message(3), message(4)],
      bound,
    }) as const;

  it("asks for what lies below the bound, once at a time", () => {
    world.goesLive();
    world.fill();
    world.fill();
    expect(requests()).toEqual([{ type: "page", id: 1, scope: "chat:1", entity: "message", before: [5, 105] }]);
    expect(selectFilling(world.state, "chat:1")).toBe(true);
    world.says(page([3, 103]));
    expect(selectFilling(world.state, "chat:1")).toBe(false);
    expect(selectBound(world.state, "chat:1", "message")).toEqual([3, 103]);
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([103, 104, 105]);
    world.fill();
    expect(requests()[1]).toMatchObject({ id: 2, before: [3, 103] });
  });

  it("asks for nothing where all is held", () => {
    world.start();
    world.greets();
    world.says(snapshot({ "chat:1": chatWindow(null) }), heartbeat(10));
    world.fill();
    expect(requests()).toEqual([]);
  });

  it("waits until the client is up to date", () => {
    world.start();
    world.fill();
    world.greets();
    world.says(snapshot());
    expect(requests()).toEqual([]);
    world.says(heartbeat(10));
    expect(requests()).toHaveLength(1);
  });

  it("is asked for again over the next connection if the last one brought no answer", () => {
    world.goesLive();
    world.fill();
    world.hangsUp();
    expect(selectFilling(world.state, "chat:1")).toBe(false);
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    world.says(heartbeat(10));
    expect(requests()).toEqual([{ type: "page", id: 2, scope: "chat:1", entity: "message", before: [5, 105] }]);
  });

  it("does not take the answer to an older question for that to a newer one", () => {
    world.goesLive();
    world.fill();
    // The chat left and came back with another window, while the first answer was on its way.
    const window: WireWindow = { entities: { message: [message(9)] }, bounds: { message: [9, 109] } };
    world.says(event(11, 0, [{ op: "enter", scope: "chat:1", window }], "user:7"));
    world.fill();
    expect(requests()[1]).toMatchObject({ id: 2, before: [9, 109] });
    world.says(page([3, 103]));
    expect(selectBound(world.state, "chat:1", "message")).toEqual([9, 109]);
    expect(selectFilling(world.state, "chat:1")).toBe(true);
    world.says({ ...page([8, 108]), id: 2, items: [message(8)] });
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([108, 109]);
    expect(selectFilling(world.state, "chat:1")).toBe(false);
  });

  it("waits for a load of the same scope", () => {
    world.goesLive();
    world.says(event(11, 10, [{ op: "stale" }]));
    world.fill();
    vi.advanceTimersByTime(500);
    expect(requests()).toEqual([]);
    world.says({ type: "scope", id: 1, scope: "chat:1", epoch: "e", seq: 11, window: chatWindow([4, 104]) });
    expect(requests()).toEqual([{ type: "page", id: 2, scope: "chat:1", entity: "message", before: [4, 104] }]);
  });
});

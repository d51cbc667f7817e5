import { beforeEach, describe, expect, it, vi } from "vitest";
import { liveActions } from "./middleware";
import { selectPresent, selectTyping } from "./selectors";
import { type World, event, heartbeat, upsert, worldOfEachTest } from "./world.testing";

let world: World;
const current = worldOfEachTest();
beforeEach(() => void (world = current()));

const signal = (user: number, scope = "chat:1") => ({ type: "signal", scope, signal: "typing", user }) as const;
const presence = (...users: number[]) =>
  ({ type: "presence", scopes: { "chat:1": { count: users.length, users } } }) as const;
const typing = () => selectTyping(world.state, "chat:1");

describe("typing", () => {
  const types = (scope = "chat:1") => world.store.dispatch(liveActions.typing({ scope }));
  const sent = () => world.last.sent.filter(({ type }) => type === "signal");

  it("is told once in three seconds, however often it is said", () => {
    world.goesLive();
    for (let key = 0; key < 30; key += 1) {
      types();
      vi.advanceTimersByTime(100);
    }
    expect(sent()).toEqual([{ type: "signal", scope: "chat:1", signal: "typing" }]);
    types();
    expect(sent()).toHaveLength(2);
  });

  it("is told of each scope for itself", () => {
    world.goesLive();
    types();
    types("user:7");
    expect(sent().map(({ scope }) => scope)).toEqual(["chat:1", "user:7"]);
  });

  it("is not told while it would be in vain", () => {
    types();
    world.start();
    types();
    world.greets({ resumed: true });
    types();
    world.says(heartbeat(10));
    types();
    expect(sent(), "the scope is not held").toEqual([]);
  });

  it("is told at once over a new connection", () => {
    world.goesLive();
    types();
    world.hangsUp();
    types();
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    world.says(heartbeat(10));
    types();
    expect(sent()).toHaveLength(1);
  });

  it("of others ends one by one, each in its time", () => {
    world.goesLive();
    world.says(signal(9));
    vi.advanceTimersByTime(1_000);
    world.says(signal(8));
    expect(typing()).toEqual([8, 9]);
    vi.advanceTimersByTime(4_999);
    expect(typing()).toEqual([8, 9]);
    vi.advanceTimersByTime(1);
    expect(typing()).toEqual([8]);
    vi.advanceTimersByTime(1_000);
    expect(typing()).toEqual([]);
    expect(vi.getTimerCount(), "only the silence is watched").toBe(1);
  });

  it("leaves a selector's result the same object while nothing in it has changed", () => {
    world.goesLive();
    world.says(signal(8));
    const before = typing();
    world.says(event(11, 10, [upsert(6)]), heartbeat(12), presence(7, 8));
    expect(typing()).toBe(before);
    expect(selectTyping(world.state, "chat:2")).toBe(selectTyping(world.state, "chat:3"));
  });
});

describe("what is of the moment", () => {
  it("is unknown once the connection is lost", () => {
    world.goesLive();
    world.says(presence(7, 8), signal(8));
    expect([selectPresent(world.state, "chat:1")?.count, typing()]).toEqual([2, [8]]);
    world.hangsUp();
    expect([selectPresent(world.state, "chat:1"), typing()]).toEqual([undefined, []]);
  });

  it("does not tell of names that are no scopes", () => {
    world.goesLive();
    expect(selectPresent(world.state, "constructor")).toBeUndefined();
    world.says(
      signal(8, "__proto__"),
      JSON.parse('{"type":"presence","scopes":{"__proto__":{"count":1,"users":[8]}}}'),
    );
    expect(world.state.live.signals).toEqual([]);
    expect({}).not.toHaveProperty("count");
  });
});

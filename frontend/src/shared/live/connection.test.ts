import { beforeEach, describe, expect, it, vi } from "vitest";
import { liveActions } from "./middleware";
import { received } from "./slice";
import { selectAll } from "./selectors";
import { type World, event, heartbeat, snapshot, upsert, worldOfEachTest } from "./world.testing";

let world: World;
const current = worldOfEachTest();
beforeEach(() => void (world = current()));

describe("connecting", () => {
  it("greets without a cursor, takes the snapshot, and is live with the first heartbeat", () => {
    world.start();
    expect(world.last.sent).toEqual([]);
    world.greets();
    expect(world.last.sent).toEqual([{ type: "hello", cursor: null }]);
    world.says(snapshot());
    expect(world.connection).toBe("connecting");
    world.says(heartbeat(10));
    expect(world.connection).toBe("live");
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([105]);
  });

  it("resumes from the data that came with the page, and leaves it as it is", () => {
    const { scopes } = snapshot();
    world.store.dispatch(
      received.pageLoaded({ user: 7, snapshot: { epoch: "e", seq: 8, orders: { message: "number" }, scopes } }),
    );
    const messages = selectAll(world.state, "message");
    world.start();
    world.greets({ resumed: true });
    world.says(heartbeat(10));
    expect(world.last.sent).toEqual([{ type: "hello", cursor: { epoch: "e", seq: 8 } }]);
    expect(selectAll(world.state, "message")).toBe(messages);
    expect(world.connection).toBe("live");
  });

  it("is one connection, however often it is started", () => {
    world.start();
    world.start();
    expect(world.attempts).toHaveLength(1);
  });

  it("loads the page anew when the server greets somebody else", () => {
    world.goesLive();
    world.hangsUp();
    vi.advanceTimersByTime(100);
    world.greets({ user: 8, resumed: true });
    expect(world.reload).toHaveBeenCalledOnce();
    expect(world.last.closed).toBe(true);
    expect(world.state.live.user).toBe(7);
  });

  it("hangs up when it is stopped, and stays away", () => {
    world.goesLive();
    world.store.dispatch(liveActions.stop());
    expect(world.last.closed).toBe(true);
    vi.advanceTimersByTime(600_000);
    expect(world.attempts).toHaveLength(1);
    expect(world.network).toBeUndefined();
  });
});

describe("a lost connection", () => {
  it("comes back with the cursor it has reached", () => {
    world.goesLive();
    world.says(event(12, 10, [upsert(6)]), heartbeat(15));
    world.hangsUp();
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    expect(world.attempts).toHaveLength(2);
    expect(world.last.sent).toEqual([{ type: "hello", cursor: { epoch: "e", seq: 15 } }]);
    world.says(heartbeat(16));
    expect(world.connection).toBe("live");
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([105, 106]);
  });

  it("is tried again after random times over a range that doubles up to ten seconds", () => {
    world.goesLive();
    const waits = [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
    for (const longest of waits) {
      world.hangsUp();
      const attempts = world.attempts.length;
      vi.advanceTimersByTime(longest / 2 - 1);
      expect(world.attempts, `too early of ${longest}`).toHaveLength(attempts);
      vi.advanceTimersByTime(1);
      expect(world.attempts, `too late of ${longest}`).toHaveLength(attempts + 1);
    }
    world.greets({ resumed: true });
    world.says(heartbeat(10));
    world.hangsUp();
    vi.advanceTimersByTime(100);
    expect(world.attempts, "being live starts over").toHaveLength(waits.length + 2);
  });

  it.each([1012, 4409])("is resumed at once when the server asks for it (%i)", (code) => {
    world.goesLive();
    world.hangsUp(code);
    vi.advanceTimersByTime(50);
    expect(world.attempts).toHaveLength(2);
  });

  it("is called offline only when the next attempt fails too, until it is live again", () => {
    world.goesLive();
    world.hangsUp();
    expect(world.connection).toBe("connecting");
    vi.advanceTimersByTime(100);
    world.hangsUp();
    expect(world.connection).toBe("offline");
    vi.advanceTimersByTime(200);
    world.greets({ resumed: true });
    expect(world.connection).toBe("offline");
    world.says(heartbeat(10));
    expect(world.connection).toBe("live");
  });

  it("is noticed by two heartbeats of silence", () => {
    world.goesLive();
    vi.advanceTimersByTime(39_999);
    world.says(heartbeat(10));
    vi.advanceTimersByTime(39_999);
    expect(world.attempts).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(world.last.closed).toBe(true);
    vi.advanceTimersByTime(100);
    expect(world.attempts).toHaveLength(2);
  });

  it("is noticed when a server takes the connection and says nothing", () => {
    world.start();
    world.last.handlers.onOpen();
    vi.advanceTimersByTime(15_000);
    expect(world.last.closed).toBe(true);
    vi.advanceTimersByTime(100);
    expect(world.attempts).toHaveLength(2);
  });

  it("has no last word once it is given up", () => {
    world.goesLive();
    const { handlers } = world.last;
    vi.advanceTimersByTime(40_100);
    world.greets({ resumed: true });
    handlers.onText(JSON.stringify(event(11, 10, [upsert(6)])));
    handlers.onClosed(4401);
    expect(world.state.live.seq).toBe(10);
    expect(world.signIn).not.toHaveBeenCalled();
  });

  it("is tried again at once when the network is back", () => {
    world.goesLive();
    world.hangsUp();
    world.network?.onBack();
    expect(world.attempts).toHaveLength(2);
    vi.advanceTimersByTime(10_000);
    expect(world.attempts, "the attempt that was due anyway").toHaveLength(2);
    world.network?.onBack();
    expect(world.attempts, "there is one already").toHaveLength(2);
  });

  it("is noticed at once when the machine wakes up, whose timers stood still", () => {
    world.goesLive();
    vi.setSystemTime(Date.now() + 39_000);
    world.network?.onBack();
    expect(world.attempts, "it may still be alive").toHaveLength(1);
    vi.setSystemTime(Date.now() + 2_000);
    world.network?.onBack();
    expect(world.attempts[0]?.closed).toBe(true);
    expect(world.attempts).toHaveLength(2);
    world.greets({ resumed: true });
    world.says(heartbeat(10));
    expect(world.connection).toBe("live");
    vi.advanceTimersByTime(10_000);
    expect(world.attempts, "no other attempt is due").toHaveLength(2);
  });

  it("is given up when the network is gone, and tried again all the same", () => {
    world.goesLive();
    world.network?.onGone();
    expect(world.last.closed).toBe(true);
    expect(world.connection).toBe("offline");
    vi.advanceTimersByTime(100);
    expect(world.attempts).toHaveLength(2);
  });
});

describe("the end", () => {
  it("of the session leads to the sign-in page", () => {
    world.goesLive();
    world.hangsUp(4401);
    expect(world.signIn).toHaveBeenCalledOnce();
    expect(world.state.live.link).toBe("ended");
    vi.advanceTimersByTime(600_000);
    expect(world.attempts).toHaveLength(1);
  });

  it.each([1009, 4400, 4404])("by a fault of this client is said, and not repeated (%i)", (code) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    world.goesLive();
    world.hangsUp(code);
    expect(error).toHaveBeenCalledOnce();
    expect(world.connection).toBe("offline");
    vi.advanceTimersByTime(600_000);
    expect(world.attempts).toHaveLength(1);
  });

  it.each([1001, 1006, 1011, 4408, 4429])("by anything else is no end (%i)", (code) => {
    world.goesLive();
    world.hangsUp(code);
    vi.advanceTimersByTime(100);
    expect(world.attempts).toHaveLength(2);
  });
});

describe("frames", () => {
  it("behind a hole are not taken: the client resumes from before it", () => {
    world.goesLive();
    const { handlers, closed } = world.last;
    expect(closed).toBe(false);
    world.says(event(14, 0, [], "user:7"), event(15, 13, [upsert(7)]));
    expect(world.last.closed).toBe(true);
    handlers.onText(JSON.stringify(heartbeat(20)));
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    expect(world.last.sent).toEqual([{ type: "hello", cursor: { epoch: "e", seq: 10 } }]);
    world.says(event(13, 10, [upsert(6)]), event(14, 0, [], "user:7"), event(15, 13, [upsert(7)]), heartbeat(15));
    expect(selectAll(world.state, "message").map(({ id }) => id)).toEqual([105, 106, 107]);
  });

  it.each([
    ["no JSON", "{"],
    ["without a type", "{}"],
    ["out of turn", JSON.stringify({ type: "welcome" })],
  ])("that are %s end the connection, not the client", (_what, text) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    world.goesLive();
    world.last.handlers.onText(text);
    expect(error).toHaveBeenCalledOnce();
    expect(world.last.closed).toBe(true);
    vi.advanceTimersByTime(100);
    expect(world.attempts).toHaveLength(2);
  });
});

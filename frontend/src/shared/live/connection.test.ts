import { configureStore } from "@reduxjs/toolkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Environment, SocketHandlers } from "./environment";
import { liveActions, liveMiddleware } from "./middleware";
import { selectAll, selectBound, selectConnection, selectFilling } from "./selectors";
import { liveReducer, received } from "./slice";
import type { Bound, Entity, Op, ServerFrame, WireWindow } from "./types";

interface Attempt {
  readonly handlers: SocketHandlers;
  readonly sent: Record<string, unknown>[];
  closed: boolean;
}

/** A browser, a network and a server, all under the test's control. */
class World {
  readonly attempts: Attempt[] = [];
  readonly random = vi.fn(() => 0.5);
  readonly signIn = vi.fn();
  readonly reload = vi.fn();
  network: Parameters<Environment["watchNetwork"]>[0] | undefined;
  readonly store = configureStore({
    reducer: { live: liveReducer },
    middleware: (defaults) => defaults().concat(liveMiddleware(this.environment())),
  });

  get last(): Attempt {
    const attempt = this.attempts.at(-1);
    if (!attempt) throw new Error("nothing was connected");
    return attempt;
  }

  get state() {
    return this.store.getState();
  }

  get connection() {
    return selectConnection(this.state);
  }

  start() {
    this.store.dispatch(liveActions.start());
  }

  fill() {
    this.store.dispatch(liveActions.fill({ scope: "chat:1", entity: "message" }));
  }

  says(...frames: ServerFrame[]) {
    for (const frame of frames) this.last.handlers.onText(JSON.stringify(frame));
  }

  hangsUp(code = 1006) {
    this.last.handlers.onClosed(code);
  }

  greets({ resumed = false, user = 7 } = {}) {
    this.last.handlers.onOpen();
    this.says({ type: "welcome", user, epoch: "e", seq: 10, resumed, heartbeat: 20, orders: { message: "number" } });
  }

  /** Brings the client up to date at seq 10, with one of many messages of chat 1. */
  goesLive() {
    this.start();
    this.greets();
    this.says(snapshot(), heartbeat(10));
  }

  private environment(): Environment {
    return {
      connect: (handlers) => {
        const attempt: Attempt = { handlers, sent: [], closed: false };
        this.attempts.push(attempt);
        return {
          send: (text) => void attempt.sent.push(JSON.parse(text) as Record<string, unknown>),
          close: () => void (attempt.closed = true),
        };
      },
      random: this.random,
      watchNetwork: (handlers) => {
        this.network = handlers;
        return () => void (this.network = undefined);
      },
      signIn: this.signIn,
      reload: this.reload,
    };
  }
}

function message(number: number): Entity {
  return { id: 100 + number, chat: 1, number, text: `message ${number}` };
}

function chatWindow(bound: Bound | null = [5, 105]): WireWindow {
  return { entities: { chat: [{ id: 1, title: "a" }], message: [message(5)] }, bounds: { message: bound } };
}

function snapshot(
  scopes: Record<string, WireWindow> = { "user:7": { entities: {}, bounds: {} }, "chat:1": chatWindow() },
) {
  return { type: "snapshot", user: 7, epoch: "e", seq: 10, scopes } as const;
}

function heartbeat(seq: number) {
  return { type: "heartbeat", epoch: "e", seq } as const;
}

function event(seq: number, prev: number, ops: readonly Op[], scope = "chat:1") {
  return { type: "event", seq, prev, scope, ops } as const;
}

function upsert(number: number): Op {
  return { op: "upsert", type: "message", id: 100 + number, data: message(number) };
}

let world: World;

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
});

afterEach(() => {
  world.store.dispatch(liveActions.stop());
  expect(vi.getTimerCount(), "timers left behind").toBe(0);
  vi.useRealTimers();
});

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
    ["of an unknown type", '{"type":"dance"}'],
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

describe("a stale scope", () => {
  const requests = () => world.last.sent.filter(({ type }) => type === "load");

  it("is loaded once, after a random part of half a second", () => {
    world.goesLive();
    world.says(event(11, 10, [{ op: "stale" }]));
    vi.advanceTimersByTime(249);
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
    vi.advanceTimersByTime(250);
    world.hangsUp();
    vi.advanceTimersByTime(100);
    world.greets({ resumed: true });
    vi.advanceTimersByTime(1_000);
    expect(requests(), "not before it is up to date").toEqual([]);
    world.says(heartbeat(11));
    vi.advanceTimersByTime(250);
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
    vi.advanceTimersByTime(250);
    expect(requests()).toEqual([]);
    world.says({ type: "scope", id: 1, scope: "chat:1", epoch: "e", seq: 11, window: chatWindow([4, 104]) });
    expect(requests()).toEqual([{ type: "page", id: 2, scope: "chat:1", entity: "message", before: [4, 104] }]);
  });
});

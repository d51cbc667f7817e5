/** What tests of the live connection share: a browser, a network and a server, all under the test's control. */
import { configureStore } from "@reduxjs/toolkit";
import { afterEach, beforeEach, expect, vi } from "vitest";
import type { Environment, SocketHandlers } from "./environment";
import { liveActions, liveMiddleware } from "./middleware";
import { selectConnection } from "./selectors";
import { liveReducer } from "./slice";
import type { Bound, Entity, Op, ServerFrame, WireWindow } from "./types";

interface Attempt {
  readonly handlers: SocketHandlers;
  readonly sent: Record<string, unknown>[];
  closed: boolean;
}

export class World {
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
      now: () => performance.now(),
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

export function message(number: number): Entity {
  return { id: 100 + number, chat: 1, number, text: `message ${number}` };
}

export function chatWindow(bound: Bound | null = [5, 105]): WireWindow {
  return { entities: { chat: [{ id: 1, title: "a" }], message: [message(5)] }, bounds: { message: bound } };
}

export function snapshot(
  scopes: Record<string, WireWindow> = { "user:7": { entities: {}, bounds: {} }, "chat:1": chatWindow() },
) {
  return { type: "snapshot", user: 7, epoch: "e", seq: 10, scopes } as const;
}

export function heartbeat(seq: number) {
  return { type: "heartbeat", epoch: "e", seq } as const;
}

export function event(seq: number, prev: number, ops: readonly Op[], scope = "chat:1") {
  return { type: "event", seq, prev, scope, ops } as const;
}

export function upsert(number: number): Op {
  return { op: "upsert", type: "message", id: 100 + number, data: message(number) };
}

/** A world for each test of a file, with a clock that only the test moves; the one of the running test. */
export function worldOfEachTest(): () => World {
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
  return () => world;
}

import { createAction, type Middleware } from "@reduxjs/toolkit";
import { LiveConnection } from "./connection";
import { browser, type Environment } from "./environment";
import type { Entities, LiveState } from "./types";

export const liveActions = {
  /** Connects, and stays connected. */
  start: createAction("live/start"),
  /** Hangs up for good, as before signing out. */
  stop: createAction("live/stop"),
  /** Asks for the older entities of a long type in a scope, once at a time; while cut off, as soon as possible. */
  fill: createAction<{ scope: string; entity: keyof Entities }>("live/fill"),
  /** Tells the others in a scope that one is typing. Say it with each key: it is passed on once in some seconds. */
  typing: createAction<{ scope: string }>("live/typing"),
};

/** Drives the one live connection of a store by `liveActions`. */
export function liveMiddleware(environment: Environment = browser): Middleware<object, { readonly live: LiveState }> {
  return (store) => {
    const connection = new LiveConnection(store, environment);
    return (next) => (action) => {
      const result = next(action);
      if (liveActions.start.match(action)) connection.start();
      else if (liveActions.stop.match(action)) connection.stop();
      else if (liveActions.fill.match(action)) connection.fill(action.payload);
      else if (liveActions.typing.match(action)) connection.signal(action.payload.scope, "typing");
      return result;
    };
  };
}

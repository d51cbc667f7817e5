/** Drives the store with the examples that the server and every other client are tested with. */
import { describe, expect, it } from "vitest";
import { liveReducer, received } from "./slice";
import { cursorOf, emptyState } from "./store-logic";
import type { Entity, LiveState, ServerFrame } from "./types";
import { vectors } from "./vectors.testing";

interface Asks {
  readonly asks: string;
}

interface Vector {
  readonly name: string;
  readonly orders: Record<string, string>;
  readonly frames: readonly (ServerFrame | Asks)[];
  readonly outcomes: readonly (string | null)[];
  readonly seq: number;
  readonly holds: Record<string, { bounds: object; entities: Record<string, Entity> }>;
}

interface ClientFrameVector {
  readonly text: string;
  readonly accepted?: boolean;
  readonly code?: number;
}

const store = vectors.store as readonly Vector[];
const clientFrames = vectors.client_frames as readonly ClientFrameVector[];

const OUTCOMES = { applied: "applied", dropped: "dropped", ignored: "ignored", holes: "hole" } as const;

function step(state: LiveState, frame: ServerFrame | Asks): { state: LiveState; outcome: string | null } {
  if ("asks" in frame) {
    return { state: liveReducer(state, received.asked({ scope: frame.asks, entity: null })), outcome: null };
  }
  switch (frame.type) {
    case "snapshot":
      return { state: liveReducer(state, received.snapshotReceived(frame)), outcome: "replaced" };
    case "event": {
      const next = liveReducer(state, received.eventReceived(frame));
      const counts = Object.keys(OUTCOMES) as (keyof typeof OUTCOMES)[];
      const moved = counts.filter((count) => next.counts[count] !== state.counts[count]);
      return { state: next, outcome: moved.map((count) => OUTCOMES[count]).join() };
    }
    case "heartbeat":
      return { state: liveReducer(state, received.heartbeatReceived(frame)), outcome: null };
    case "scope":
      return { state: liveReducer(state, received.scopeReceived(frame)), outcome: null };
    case "page":
      return { state: liveReducer(state, received.pageReceived(frame)), outcome: null };
    default:
      throw new Error(`a vector has a frame of unknown type ${JSON.stringify(frame)}`);
  }
}

/** Content alone, as vectors write it. */
function holds(state: LiveState): Vector["holds"] {
  return Object.fromEntries(
    Object.entries(state.windows).map(([scope, { bounds, entities }]) => [
      scope,
      {
        bounds,
        entities: Object.fromEntries(
          Object.entries(entities).flatMap(([type, table]) =>
            Object.entries(table).map(([id, data]) => [`${type}:${id}`, data]),
          ),
        ),
      },
    ]),
  );
}

describe("the shared vectors", () => {
  it("are of the kinds that are known here", () => {
    expect(Object.keys(vectors).sort()).toEqual(["about", "client_frames", "closes", "conversations", "store"]);
    const known = ["frames", "holds", "name", "orders", "outcomes", "seq"];
    for (const vector of store) expect(Object.keys(vector).sort(), vector.name).toEqual(known);
    expect(store.length).toBeGreaterThan(0);
  });

  it.each(store.map((vector) => [vector.name, vector] as const))("%s", (_name, vector) => {
    let state: LiveState = { ...emptyState(), orders: vector.orders };
    const outcomes = vector.frames.map((frame) => {
      const result = step(state, frame);
      state = result.state;
      return result.outcome;
    });
    expect(outcomes).toEqual(vector.outcomes);
    expect(holds(state)).toEqual(vector.holds);
    expect(state.seq).toBe(vector.seq);
    expect(cursorOf(state)).toEqual({ epoch: "e", seq: vector.seq });
  });

  it("say of the client's own frames what the server accepts: the fields that are sent here, and no others needed", () => {
    const accepted = clientFrames.filter((vector) => vector.accepted).map(({ text }) => JSON.parse(text) as object);
    const fields = accepted.map((frame) => Object.keys(frame).sort().join());
    const sent = ["cursor,type", "id,scope,type", "before,entity,id,scope,type", "scope,signal,type"];
    expect(fields).toEqual(expect.arrayContaining(sent));
    for (const { accepted: yes, code } of clientFrames) expect([true, 4400, 4404]).toContain(yes ?? code);
  });
});

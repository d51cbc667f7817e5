/**
 * What a client holds, kept in step by frames: the rules of docs/live-protocol.md, without I/O.
 *
 * The functions change the state they are given; in the store that is a draft, so that whatever they leave alone stays
 * the same object for those who watch it.
 */
import { dropMoment } from "./moment";
import type {
  Bound,
  Cursor,
  Entity,
  EventFrame,
  HeartbeatFrame,
  LiveState,
  Op,
  PageFrame,
  ScopeFrame,
  WelcomeFrame,
  Window,
  WireWindow,
} from "./types";

export type Outcome = "applied" | "dropped" | "ignored" | "hole";

export interface Snapshot extends Cursor {
  readonly user: number;
  readonly scopes: Readonly<Record<string, WireWindow>>;
}

export function emptyState(): LiveState {
  return {
    link: "idle",
    user: null,
    epoch: "",
    seq: 0,
    orders: dictionary(),
    windows: dictionary(),
    asked: dictionary(),
    present: dictionary(),
    signals: [],
    counts: { applied: 0, dropped: 0, ignored: 0, holes: 0 },
  };
}

/** What to resume from; null before the first snapshot. */
export function cursorOf(state: LiveState): Cursor | null {
  return state.epoch ? { epoch: state.epoch, seq: state.seq } : null;
}

/** Scopes that wait to be loaded anew and were not asked about yet. */
export function toLoad(state: LiveState): string[] {
  return Object.keys(state.windows)
    .filter((scope) => state.windows[scope]?.stale && !state.asked[scope])
    .sort();
}

/** The bound to ask older entities of a long type from; null where all is held or the scope is not. */
export function boundOf(state: LiveState, scope: string, entity: string): Bound | null {
  return state.windows[scope]?.bounds[entity] ?? null;
}

export function applyWelcome(state: LiveState, frame: Pick<WelcomeFrame, "orders">): void {
  state.orders = dictionary(frame.orders);
}

/** Replaces everything. */
export function applySnapshot(state: LiveState, snapshot: Snapshot): void {
  state.user = snapshot.user;
  state.epoch = snapshot.epoch;
  state.seq = snapshot.seq;
  state.windows = dictionary();
  for (const [scope, window] of Object.entries(snapshot.scopes)) state.windows[scope] = windowOf(window, snapshot.seq);
  expectNothing(state);
}

/** Applies an event once and in order; a `hole` applies nothing and calls for a resume. */
export function applyEvent(state: LiveState, event: EventFrame): Outcome {
  state.asked[event.scope]?.events.push(event);
  const window = state.windows[event.scope];
  if (!window) {
    state.counts.ignored += 1;
    state.seq = Math.max(state.seq, event.seq);
    return "ignored";
  }
  if (event.seq <= window.at) {
    state.counts.dropped += 1;
    state.seq = Math.max(state.seq, event.seq);
    return "dropped";
  }
  if (event.prev > window.at) {
    state.counts.holes += 1;
    // Events of other scopes may have moved the cursor past what is missing here.
    state.seq = Math.min(state.seq, window.at);
    return "hole";
  }
  for (const op of event.ops) applyOp(state, window, op, event.seq);
  window.at = event.seq;
  state.counts.applied += 1;
  state.seq = Math.max(state.seq, event.seq);
  return "applied";
}

/** The server verified that nothing is missing up to this seq of its log, which is this one if all is right. */
export function applyHeartbeat(state: LiveState, frame: Pick<HeartbeatFrame, "epoch" | "seq">): void {
  if (frame.epoch === state.epoch) state.seq = Math.max(state.seq, frame.seq);
}

/** A load (`entity` null) or page of this scope is out: its events are kept, to apply them again behind the answer. */
export function expectAnswer(state: LiveState, scope: string, entity: string | null): void {
  state.asked[scope] ??= { entity, events: [] };
}

/** The connection has ended: what was asked for on it is never answered, and what was of the moment is over. */
export function expectNothing(state: LiveState): void {
  state.asked = dictionary();
  state.present = dictionary();
  if (state.signals.length > 0) state.signals = [];
}

/** A scope that was loaded anew; a window of null means that the user no longer sees it. */
export function applyScope(state: LiveState, frame: ScopeFrame): void {
  const asked = state.asked[frame.scope];
  delete state.asked[frame.scope];
  if (!asked) return;
  if (!frame.window) {
    delete state.windows[frame.scope];
    dropMoment(state, frame.scope);
    return;
  }
  state.windows[frame.scope] = windowOf(frame.window, frame.seq);
  for (const event of asked.events) applyEvent(state, event);
}

/** Older entities of a long type: they lower the window's bound. */
export function applyPage(state: LiveState, frame: PageFrame): void {
  const asked = state.asked[frame.scope];
  delete state.asked[frame.scope];
  const window = state.windows[frame.scope];
  if (!window || !asked) return;
  window.bounds[frame.entity] = frame.bound;
  const table = (window.entities[frame.entity] ??= {});
  for (const data of frame.items) table[data.id] ??= data;
  for (const event of asked.events) {
    if (event.seq > frame.seq) for (const op of event.ops) applyOp(state, window, op, event.seq);
  }
}

/** Orders the entities of a long type by its field, and all others by id. */
export function compareBy(order: string | undefined): (a: Entity, b: Entity) => number {
  return (a, b) => compareKeys(keyOf(order, a), keyOf(order, b));
}

function windowOf(data: WireWindow | null, at: number): Window {
  const entities: Window["entities"] = dictionary();
  if (!data) return { at, stale: true, missing: true, bounds: dictionary(), entities };
  for (const [type, rows] of Object.entries(data.entities)) {
    entities[type] = Object.fromEntries(rows.map((row) => [row.id, row]));
  }
  return { at, stale: false, missing: false, bounds: dictionary(data.bounds), entities };
}

/** An object without a prototype: for names that come over the wire, none of which is then anything but a key. */
function dictionary<T>(items: Readonly<Record<string, T>> = {}): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, items);
}

function applyOp(state: LiveState, window: Window, op: Op, seq: number): void {
  switch (op.op) {
    case "upsert": {
      const bound = window.bounds[op.type];
      if (bound && compareKeys(keyOf(state.orders[op.type], op.data), bound) < 0)
        delete window.entities[op.type]?.[op.id];
      else (window.entities[op.type] ??= {})[op.id] = op.data;
      break;
    }
    case "remove":
      delete window.entities[op.type]?.[op.id];
      break;
    case "stale":
      window.stale = true;
      break;
    case "enter":
      if (isKnown(state, op.scope, seq)) break;
      state.windows[op.scope] = windowOf(op.window, seq);
      delete state.asked[op.scope];
      break;
    case "leave":
      if (isKnown(state, op.scope, seq)) break;
      delete state.windows[op.scope];
      delete state.asked[op.scope];
      dropMoment(state, op.scope);
      break;
  }
}

/** Whether an op about a scope is older than what is held of it: it came again behind a load. */
function isKnown(state: LiveState, scope: string, seq: number): boolean {
  const held = state.windows[scope];
  return held !== undefined && held.at >= seq;
}

function keyOf(order: string | undefined, data: Entity): readonly [number, number] {
  return [order ? (data[order] as number) : 0, data.id];
}

function compareKeys(a: Bound, b: Bound): number {
  return a[0] - b[0] || a[1] - b[1];
}

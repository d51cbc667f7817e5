/** What screens read. Every result is the same object for as long as nothing in it has changed. */
import { compareBy } from "./store-logic";
import type { Bound, Entities, Entity, LiveState, Present, Signal } from "./types";

interface State {
  readonly live: LiveState;
}
type Windows = LiveState["windows"];
type Table = Readonly<Record<number, Entity>>;

/** All entities of a type, each once. */
interface Index {
  readonly list: readonly Entity[];
  readonly byId: ReadonlyMap<number, Entity>;
}

/** Remembers an index by the tables it was made of, one step of the path a table. */
class Node {
  index?: Index;
  readonly next = new WeakMap<Table, Node>();
}

const NOTHING: readonly never[] = [];
const EMPTY: Index = { list: NOTHING, byId: new Map() };

// Weak keys throughout: a server renders for many people in one process, and what was made for one goes with their store.
const root = new Node();
const indexes = new WeakMap<Windows, Map<string, Index>>();
const sorted = new WeakMap<Table, readonly Entity[]>();
const typing = new WeakMap<readonly Signal[], Map<string, readonly number[]>>();

export function selectViewer(state: State): number | null {
  return state.live.user;
}

/** Whether a snapshot is held; before that, screens do not know what there is. */
export function selectReady(state: State): boolean {
  return state.live.epoch !== "";
}

/** The entities of a type over all scopes, by id, each once. */
export function selectAll<T extends keyof Entities>(state: State, type: T): readonly Entities[T][] {
  return indexOf(state, type).list as readonly unknown[] as readonly Entities[T][];
}

export function selectById<T extends keyof Entities>(state: State, type: T, id: number): Entities[T] | undefined {
  return indexOf(state, type).byId.get(id) as unknown as Entities[T] | undefined;
}

/** The entities of a type in one scope: long types in their order, the others by id; none if the scope is not held. */
export function selectInScope<T extends keyof Entities>(state: State, scope: string, type: T): readonly Entities[T][] {
  const table: Table | undefined = state.live.windows[scope]?.entities[type];
  if (!table) return NOTHING;
  let list = sorted.get(table);
  if (!list) {
    list = Object.values(table).sort(compareBy(state.live.orders[type]));
    sorted.set(table, list);
  }
  return list as readonly unknown[] as readonly Entities[T][];
}

/** The lowest `[order key, id]` held of a long type; null: all of it is held; undefined: the scope is not. */
export function selectBound(state: State, scope: string, type: keyof Entities): Bound | null | undefined {
  const window = state.live.windows[scope];
  return window && (window.bounds[type] ?? null);
}

/** Whether what is shown is up to date: `live`, on the way there, or cut off. */
export function selectConnection(state: State): "connecting" | "live" | "offline" {
  switch (state.live.link) {
    case "live":
      return "live";
    case "idle":
    case "connecting":
      return "connecting";
    default:
      return "offline";
  }
}

/** Whether what is held is meant to be kept up to date: not before connecting, nor after hanging up for good. */
export function selectKept(state: State): boolean {
  return ["connecting", "live", "offline"].includes(state.live.link);
}

/** Whether older entities of a scope were asked for and have not come yet. */
export function selectFilling(state: State, scope: string): boolean {
  return Boolean(state.live.asked[scope]?.entity);
}

/** Who is present in a scope, oneself among them: all are counted, some are named. Undefined while it is not known. */
export function selectPresent(state: State, scope: string): Present | undefined {
  return state.live.present[scope];
}

/** The users who are typing in a scope, by id. */
export function selectTyping(state: State, scope: string): readonly number[] {
  const { signals } = state.live;
  let byScope = typing.get(signals);
  if (!byScope) typing.set(signals, (byScope = new Map<string, readonly number[]>()));
  let users = byScope.get(scope);
  if (!users) byScope.set(scope, (users = typingIn(signals, scope)));
  return users;
}

/** How the app names a user: by the profile, or by number while that is empty or not visible. */
export function nameOf(state: State, userId: number): string {
  const profile = selectById(state, "profile", userId);
  const name = `${profile?.first_name ?? ""} ${profile?.last_name ?? ""}`.trim();
  return name || `user ${userId}`;
}

function typingIn(signals: readonly Signal[], scope: string): readonly number[] {
  const users = signals.filter((said) => said.scope === scope && said.signal === "typing").map(({ user }) => user);
  return users.length > 0 ? users.sort((a, b) => a - b) : NOTHING;
}

function indexOf(state: State, type: string): Index {
  const { windows } = state.live;
  let ofWindows = indexes.get(windows);
  if (!ofWindows) indexes.set(windows, (ofWindows = new Map()));
  let index = ofWindows.get(type);
  if (!index) ofWindows.set(type, (index = indexOfTables(tablesOf(windows, type))));
  return index;
}

function tablesOf(windows: Windows, type: string): Table[] {
  return Object.values(windows)
    .map((window) => window.entities[type])
    .filter((table) => table !== undefined);
}

function indexOfTables(tables: readonly Table[]): Index {
  if (tables.length === 0) return EMPTY;
  let node = root;
  for (const table of tables) {
    let next = node.next.get(table);
    if (!next) node.next.set(table, (next = new Node()));
    node = next;
  }
  return (node.index ??= merged(tables));
}

function merged(tables: readonly Table[]): Index {
  const byId = new Map<number, Entity>();
  for (const table of tables) {
    for (const entity of Object.values(table)) if (!byId.has(entity.id)) byId.set(entity.id, entity);
  }
  return { list: [...byId.values()].sort(compareBy(undefined)), byId };
}

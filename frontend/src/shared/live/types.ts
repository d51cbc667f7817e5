/** What the live protocol carries, as docs/live-protocol.md says. */

export interface Account {
  readonly id: number;
  readonly username: string;
  readonly email: string;
  readonly is_staff: boolean;
}

export interface Profile {
  readonly id: number;
  readonly user: number;
  readonly first_name: string;
  readonly last_name: string;
  readonly bio: string;
}

export interface Chat {
  readonly id: number;
  readonly title: string;
  readonly last_number: number;
  readonly created_at: string;
}

export interface Member {
  readonly id: number;
  readonly chat: number;
  readonly user: number;
  readonly role: string;
  readonly joined_at: string;
}

export interface Message {
  readonly id: number;
  readonly chat: number;
  readonly sender: number;
  readonly client_id: string;
  /** Counts the messages of a chat from 1, without a gap: their order. */
  readonly number: number;
  readonly text: string;
  readonly created_at: string;
}

export interface ReadMark {
  readonly id: number;
  readonly user: number;
  readonly chat: number;
  /** The newest message that was read. */
  readonly number: number;
}

export interface Job {
  readonly id: number;
  readonly owner: number;
  readonly kind: string;
  readonly state: string;
  /** Percent, 0 to 100. */
  readonly progress: number;
  readonly result: unknown;
  readonly error: string;
  readonly created_at: string;
}

/** Every synced type by its name on the wire. */
export interface Entities {
  account: Account;
  profile: Profile;
  chat: Chat;
  member: Member;
  message: Message;
  read_mark: ReadMark;
  job: Job;
}

/** Any entity: servers may send types that this client does not know, and they are held all the same. */
export interface Entity {
  readonly id: number;
  readonly [field: string]: unknown;
}

/** The lowest `[order key, id]` held of a long type. */
export type Bound = readonly [number, number];

/** A scope's content on the wire. */
export interface WireWindow {
  readonly entities: Readonly<Record<string, readonly Entity[]>>;
  readonly bounds: Readonly<Record<string, Bound | null>>;
}

export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

export type Op =
  | { readonly op: "upsert"; readonly type: string; readonly id: number; readonly data: Entity }
  | { readonly op: "remove"; readonly type: string; readonly id: number }
  | { readonly op: "enter"; readonly scope: string; readonly window: WireWindow | null }
  | { readonly op: "leave"; readonly scope: string }
  | { readonly op: "stale" };

export interface WelcomeFrame extends Cursor {
  readonly type: "welcome";
  readonly user: number;
  readonly resumed: boolean;
  /** Seconds between two heartbeats. */
  readonly heartbeat: number;
  /** Long type -> the field it is ordered by. */
  readonly orders: Readonly<Record<string, string>>;
}

export interface SnapshotFrame extends Cursor {
  readonly type: "snapshot";
  readonly user: number;
  readonly scopes: Readonly<Record<string, WireWindow>>;
}

export interface EventFrame {
  readonly type: "event";
  readonly seq: number;
  readonly scope: string;
  /** The seq of the event before this one in the same scope. */
  readonly prev: number;
  readonly ops: readonly Op[];
}

export interface HeartbeatFrame extends Cursor {
  readonly type: "heartbeat";
}

export interface ScopeFrame extends Cursor {
  readonly type: "scope";
  readonly id: number;
  readonly scope: string;
  readonly window: WireWindow | null;
}

export interface PageFrame extends Cursor {
  readonly type: "page";
  readonly id: number;
  readonly scope: string;
  readonly entity: string;
  readonly items: readonly Entity[];
  readonly bound: Bound | null;
}

/** A user says something of the moment in a scope, such as "typing". */
export interface SignalFrame {
  readonly type: "signal";
  readonly scope: string;
  readonly signal: string;
  readonly user: number;
}

/** Who is there: some of them are named, all of them are counted. */
export interface Present {
  readonly count: number;
  readonly users: readonly number[];
}

export interface PresenceFrame {
  readonly type: "presence";
  readonly scopes: Readonly<Record<string, Present>>;
}

export type ServerFrame =
  WelcomeFrame | SnapshotFrame | EventFrame | HeartbeatFrame | ScopeFrame | PageFrame | SignalFrame | PresenceFrame;

export type ClientFrame =
  | { readonly type: "hello"; readonly cursor: Cursor | null }
  | { readonly type: "load"; readonly id: number; readonly scope: string }
  | { readonly type: "signal"; readonly scope: string; readonly signal: string }
  | {
      readonly type: "page";
      readonly id: number;
      readonly scope: string;
      readonly entity: string;
      readonly before: Bound;
    };

/** What the server sends along with a page: a snapshot of what it shows, with the order of long types. */
export interface PageSnapshot extends Cursor {
  readonly orders: Readonly<Record<string, string>>;
  readonly scopes: Readonly<Record<string, WireWindow>>;
}

/** What is held of one scope. */
export interface Window {
  /** The seq it is complete up to. */
  at: number;
  /** Too much changed at once: it has to be loaded anew. */
  stale: boolean;
  /** It was too large to come along when the scope was entered: nothing is there to look at until it is loaded. */
  missing: boolean;
  /** Long type -> lowest `[order key, id]` held; null if all of it is. */
  bounds: Record<string, Bound | null>;
  /** Type -> id -> data. */
  entities: Record<string, Record<number, Entity>>;
}

/** A load or page that is out, with the scope's events that came meanwhile. */
export interface Asked {
  /** The long type of a page; null for a load. */
  entity: string | null;
  events: EventFrame[];
}

/** Somebody's signal, which is true until a time of the client's monotonic clock, in milliseconds. */
export interface Signal {
  readonly scope: string;
  readonly signal: string;
  readonly user: number;
  readonly until: number;
}

/** Where the socket stands; `ended`: signed out; `failed`: the server says that this client is wrong. */
export type Link = "idle" | "connecting" | "live" | "offline" | "ended" | "failed";

export interface LiveState {
  link: Link;
  user: number | null;
  /** Empty before the first snapshot. */
  epoch: string;
  seq: number;
  orders: Record<string, string>;
  windows: Record<string, Window>;
  asked: Record<string, Asked>;
  /** Who is present in a scope, as far as it was told on this connection. */
  present: Record<string, Present>;
  /** The signals that are true. */
  signals: Signal[];
  /** What became of the events that came in. */
  counts: { applied: number; dropped: number; ignored: number; holes: number };
}

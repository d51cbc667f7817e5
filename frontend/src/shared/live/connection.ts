/** One client's side of the live protocol: keeps a store in step over one socket at a time, for as long as it is wanted. */
import type { Dispatch } from "@reduxjs/toolkit";
import type { Environment, Socket } from "./environment";
import { SIGNAL_LASTS_MS } from "./moment";
import { received } from "./slice";
import { boundOf, cursorOf, toLoad } from "./store-logic";
import type {
  ClientFrame,
  Link,
  LiveState,
  PageFrame,
  ScopeFrame,
  ServerFrame,
  SignalFrame,
  WelcomeFrame,
} from "./types";

const SIGNED_OUT = 4401;
const OUR_FAULT: readonly number[] = [1009, 4400, 4404];
const RESUME_AT_ONCE: readonly number[] = [1012, 4409];
const ASKED_TOO_MUCH: readonly number[] = [4420, 4421];
const LOST = 1006;

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** How long a connection may take until the server's first frame. */
const GREETING_MS = 15_000;
/** What many clients hold became stale for all of them in one moment: they spread their loads over this time. */
const LOAD_SPREAD_MS = 1_000;
/** Loads that are out at once: the server answers one after the other, and pages go between them. */
const MOST_LOADS = 4;
/** A signal is said again only after this time: it is true for longer at those who hear it. */
const SIGNAL_PAUSE_MS = 3_000;

export interface Store {
  getState(): { readonly live: LiveState };
  readonly dispatch: Dispatch;
}

export interface Wish {
  readonly scope: string;
  readonly entity: string;
}

/** What a socket has come to: each frame has its place. */
type Phase = "greeting" | "catching up" | "live";

interface Session {
  readonly socket: Socket;
  phase: Phase;
  /** Milliseconds of silence after which the connection counts as dead. */
  patience: number;
  /** When something came last, by this machine's clock. */
  heard: number;
  silence: ReturnType<typeof setTimeout> | undefined;
}

export class LiveConnection {
  readonly #store: Store;
  readonly #environment: Environment;
  /** Stale scopes and what delays their loads; null: it is time, but too many are out. */
  readonly #loads = new Map<string, ReturnType<typeof setTimeout> | null>();
  /** The ids of the loads that are out. */
  readonly #loading = new Set<number>();
  /** Signal -> when it was said last. */
  readonly #said = new Map<string, number>();
  /** Scope -> the id of the last request about it. */
  readonly #requests = new Map<string, number>();
  #wishes: readonly Wish[] = [];
  #session: Session | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #nextEnd: ReturnType<typeof setTimeout> | undefined;
  #unwatch: (() => void) | undefined;
  #failures = 0;
  #nextId = 0;

  constructor(store: Store, environment: Environment) {
    this.#store = store;
    this.#environment = environment;
  }

  start(): void {
    if (this.#unwatch) return;
    this.#unwatch = this.#environment.watchNetwork({
      onBack: () => this.#awake(),
      onGone: () => {
        if (this.#session) this.#lost(LOST);
        this.#setLink("offline");
      },
    });
    this.#failures = 0;
    this.#open();
  }

  stop(): void {
    this.#end("idle");
  }

  /** Asks for the page below what is held, once: at once if that is possible, else as soon as it is. */
  fill(wish: Wish): void {
    if (this.#wishes.some(({ scope, entity }) => scope === wish.scope && entity === wish.entity)) return;
    if (this.#state.asked[wish.scope]?.entity === wish.entity) return;
    this.#wishes = [...this.#wishes, wish];
    this.#ask();
  }

  /** Says something of the moment to those who hold a scope, but not twice in a short time; in vain while cut off. */
  signal(scope: string, signal: string): void {
    if (this.#session?.phase !== "live" || !this.#state.windows[scope]) return;
    const key = JSON.stringify([scope, signal]);
    const now = this.#environment.now();
    if (now - (this.#said.get(key) ?? -Infinity) < SIGNAL_PAUSE_MS) return;
    this.#said.set(key, now);
    this.#send({ type: "signal", scope, signal });
  }

  get #state(): LiveState {
    return this.#store.getState().live;
  }

  // -- the socket's life ------------------------------------------------------------------------------------------

  #open(): void {
    // What a socket says after it was dropped is about the past.
    const current = (session: Session) => this.#session === session;
    const session: Session = {
      socket: this.#environment.connect({
        onOpen: () => current(session) && this.#send({ type: "hello", cursor: cursorOf(this.#state) }),
        onText: (text) => current(session) && this.#received(session, text),
        onClosed: (code) => current(session) && this.#lost(code),
      }),
      phase: "greeting",
      patience: GREETING_MS,
      heard: 0,
      silence: undefined,
    };
    this.#session = session;
    // Behind a failure the person keeps reading "offline" until it is live again.
    if (this.#state.link !== "offline") this.#setLink("connecting");
    this.#heard(session);
  }

  /** Anything that comes proves the connection alive. */
  #heard(session: Session): void {
    session.heard = Date.now();
    clearTimeout(session.silence);
    session.silence = setTimeout(() => this.#lost(LOST), session.patience);
  }

  #drop(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    clearTimeout(session.silence);
    session.socket.close();
    for (const timer of this.#loads.values()) if (timer !== null) clearTimeout(timer);
    this.#loads.clear();
    this.#loading.clear();
    this.#said.clear();
    clearTimeout(this.#nextEnd);
    // Pages that were asked for are still wanted.
    const unanswered = Object.entries(this.#state.asked).flatMap(([scope, { entity }]) =>
      entity ? { scope, entity } : [],
    );
    this.#wishes = [...this.#wishes, ...unanswered];
  }

  #lost(code: number): void {
    this.#drop();
    if (code === SIGNED_OUT) {
      this.#end("ended");
      this.#environment.signIn();
    } else if (OUR_FAULT.includes(code)) {
      console.error(`The live connection was refused as faulty (code ${code}). Reload the page.`);
      this.#end("failed");
    } else {
      this.#failures += 1;
      // One lost connection is nothing to tell; it is back in a moment, or the next attempt fails too.
      this.#setLink(this.#failures > 1 ? "offline" : "connecting");
      this.#retry = setTimeout(() => this.#open(), this.#delay(code));
    }
  }

  #delay(code: number): number {
    const atOnce = RESUME_AT_ONCE.includes(code) && this.#failures === 1;
    if (ASKED_TOO_MUCH.includes(code)) return (LONGEST_DELAY_MS / 2) * (1 + this.#environment.random());
    const longest = atOnce ? FIRST_DELAY_MS : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    return this.#environment.random() * longest;
  }

  /** Timers stand still while a machine sleeps: what they would have noticed meanwhile is noticed now. */
  #awake(): void {
    const session = this.#session;
    if (session && Date.now() - session.heard > session.patience) this.#lost(LOST);
    if (this.#session) return;
    clearTimeout(this.#retry);
    this.#open();
  }

  #end(link: Link): void {
    this.#drop();
    clearTimeout(this.#retry);
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#wishes = [];
    this.#setLink(link);
  }

  #setLink(link: Link): void {
    if (this.#state.link !== link) this.#store.dispatch(received.linkChanged(link));
  }

  // -- frames -----------------------------------------------------------------------------------------------------

  #received(session: Session, text: string): void {
    this.#heard(session);
    try {
      this.#apply(session, JSON.parse(text) as ServerFrame);
    } catch (error) {
      console.error("A frame of the live connection could not be used; connecting anew.", error);
      this.#lost(LOST);
    }
    this.#ask();
  }

  #apply(session: Session, frame: ServerFrame): void {
    const { dispatch } = this.#store;
    const holes = this.#state.counts.holes;
    if (!isKnown(frame)) return;
    if ((frame.type === "welcome") !== (session.phase === "greeting")) throw new Error(`"${frame.type}" out of turn`);
    switch (frame.type) {
      case "welcome":
        this.#welcome(session, frame);
        break;
      case "snapshot":
        dispatch(received.snapshotReceived(frame));
        break;
      case "event":
        dispatch(received.eventReceived(frame));
        break;
      case "heartbeat":
        dispatch(received.heartbeatReceived(frame));
        session.phase = "live";
        this.#failures = 0;
        this.#setLink("live");
        break;
      case "scope":
        this.#loading.delete(frame.id);
        if (this.#isWanted(frame)) dispatch(received.scopeReceived(frame));
        break;
      case "page":
        if (this.#isWanted(frame)) dispatch(received.pageReceived(frame));
        break;
      case "signal":
        this.#hear(frame);
        break;
      case "presence":
        dispatch(received.presenceReceived(frame));
        break;
    }
    // Nothing more may come over this connection: it would move the cursor past the hole.
    if (this.#state.counts.holes > holes) this.#lost(LOST);
  }

  #welcome(session: Session, frame: WelcomeFrame): void {
    const { user } = this.#state;
    if (user !== null && user !== frame.user) {
      this.#end("ended");
      this.#environment.reload();
      return;
    }
    this.#store.dispatch(received.welcomed(frame));
    session.phase = "catching up";
    session.patience = 2 * frame.heartbeat * 1000;
    this.#heard(session);
  }

  #hear({ scope, signal, user }: SignalFrame): void {
    this.#store.dispatch(
      received.signalReceived({ scope, signal, user, until: this.#environment.now() + SIGNAL_LASTS_MS }),
    );
    this.#watchSignals();
  }

  /** Ends each signal in its time. */
  #watchSignals(): void {
    clearTimeout(this.#nextEnd);
    const { signals } = this.#state;
    if (signals.length === 0) return;
    const next = Math.min(...signals.map(({ until }) => until)) - this.#environment.now();
    this.#nextEnd = setTimeout(
      () => {
        this.#store.dispatch(received.signalsEnded(this.#environment.now()));
        this.#watchSignals();
      },
      Math.max(0, Math.ceil(next)),
    );
  }

  // -- requests ---------------------------------------------------------------------------------------------------

  /** Asks for what is stale and for the pages that are wanted, as far as nothing about their scope is out. */
  #ask(): void {
    if (this.#session?.phase !== "live") return;
    for (const scope of toLoad(this.#state)) {
      if (this.#loads.has(scope)) continue;
      this.#loads.set(scope, this.#isAlone(scope) ? null : this.#later(scope));
    }
    this.#load();
    this.#wishes = this.#wishes.filter((wish) => !this.#page(wish));
  }

  /** Nobody shares one's own scope, and a scope that was entered without its window is entered by few at once. */
  #isAlone(scope: string): boolean {
    return scope.startsWith("user:") || Boolean(this.#state.windows[scope]?.missing);
  }

  #later(scope: string): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      // Behind those whose time came before.
      this.#loads.delete(scope);
      this.#loads.set(scope, null);
      this.#load();
    }, this.#environment.random() * LOAD_SPREAD_MS);
  }

  /** Loads the scopes whose time has come, as far as not too many are out. */
  #load(): void {
    for (const [scope, timer] of this.#loads) {
      if (timer !== null) continue;
      if (this.#loading.size >= MOST_LOADS) return;
      this.#loads.delete(scope);
      if (!toLoad(this.#state).includes(scope)) continue;
      this.#store.dispatch(received.asked({ scope, entity: null }));
      const id = this.#idFor(scope);
      this.#loading.add(id);
      this.#send({ type: "load", id, scope });
    }
  }

  /** Returns whether the wish is done with: asked for, or in vain. */
  #page({ scope, entity }: Wish): boolean {
    const window = this.#state.windows[scope];
    // A stale scope is about to be loaded: what is to be asked for stands only then.
    if (this.#state.asked[scope] || window?.stale) return false;
    const before = boundOf(this.#state, scope, entity);
    if (!before) return true;
    this.#store.dispatch(received.asked({ scope, entity }));
    this.#send({ type: "page", id: this.#idFor(scope), scope, entity, before });
    return true;
  }

  #idFor(scope: string): number {
    this.#requests.set(scope, ++this.#nextId);
    return this.#nextId;
  }

  /** Not if the scope left and came back after the question, and was asked about once more: it is another window now. */
  #isWanted({ scope, id }: ScopeFrame | PageFrame): boolean {
    return this.#requests.get(scope) === id;
  }

  #send(frame: ClientFrame): void {
    this.#session?.socket.send(JSON.stringify(frame));
  }
}

const KNOWN: Record<ServerFrame["type"], true> = {
  welcome: true,
  snapshot: true,
  event: true,
  heartbeat: true,
  scope: true,
  page: true,
  signal: true,
  presence: true,
};

/** Servers may say more than this client understands: what is of an unknown type is none of its business. */
function isKnown(frame: { readonly type: unknown }): boolean {
  if (typeof frame.type !== "string") throw new Error("a frame without a type");
  return Object.hasOwn(KNOWN, frame.type);
}

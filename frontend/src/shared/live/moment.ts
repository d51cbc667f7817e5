/** What is known of the moment: who is present, and signals such as typing; see `store-logic`. */
import type { LiveState, PresenceFrame, Signal } from "./types";

/** For how long a signal is true, by the client's own clock; nobody ever says that it has ended. */
export const SIGNAL_LASTS_MS = 6_000;

/** A user says something in a scope; it replaces what the same one said before. */
export function applySignal(state: LiveState, signal: Signal): void {
  if (!state.windows[signal.scope]) return;
  const said = ({ scope, signal: name, user }: Signal) =>
    scope === signal.scope && name === signal.signal && user === signal.user;
  state.signals = [...state.signals.filter((other) => !said(other)), signal];
}

/** Signals do not outlive their time. */
export function endSignals(state: LiveState, now: number): void {
  keep(state, ({ until }) => now < until);
}

/** Who is in some scopes, in place of what was known; who is there no longer does nothing there any more. */
export function applyPresence(state: LiveState, frame: PresenceFrame): void {
  for (const [scope, present] of Object.entries(frame.scopes)) {
    if (!state.windows[scope]) continue;
    const before = state.present[scope]?.users ?? [];
    state.present[scope] = present;
    if (present.users.length < present.count) continue;
    const gone = before.filter((user) => !present.users.includes(user));
    keep(state, (signal) => signal.scope !== scope || !gone.includes(signal.user));
  }
}

/** The scope is held no longer. */
export function dropMoment(state: LiveState, scope: string): void {
  delete state.present[scope];
  keep(state, (signal) => signal.scope !== scope);
}

function keep(state: LiveState, wanted: (signal: Signal) => boolean): void {
  const kept = state.signals.filter(wanted);
  if (kept.length < state.signals.length) state.signals = kept;
}

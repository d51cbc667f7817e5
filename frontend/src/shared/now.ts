/** The time by which relative times are worked out. */
import { createContext, createElement, useContext, useSyncExternalStore, type ReactNode } from "react";

const TICK_MS = 30_000;

const ServerNow = createContext(0);
const listeners = new Set<() => void>();
let current = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Gives the server's clock (ISO 8601; null: unknown) to the first render, so that hydration shows the same. */
export function NowProvider({ now, children }: { now: string | null; children?: ReactNode }) {
  return createElement(ServerNow.Provider, { value: now ? Date.parse(now) : 0 }, children);
}

/** Milliseconds since 1970: by the server's clock in the first render (0: unknown), then by this machine's, every 30 s. */
export function useNow(): number {
  const served = useContext(ServerNow);
  return useSyncExternalStore(subscribe, read, () => served);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function read(): number {
  // Without a tick the last reading may be old; within one it stays the same, as React asks of a store.
  if (Math.abs(Date.now() - current) >= TICK_MS) current = Date.now();
  return current;
}

function tick(): void {
  current = Date.now();
  for (const listener of listeners) listener();
}

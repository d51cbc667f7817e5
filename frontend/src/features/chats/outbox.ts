/**
 * Messages on their way: shown from the moment they are written until the live data holds them.
 *
 * A message has the `client_id` it was written with for ever, and the server takes each only once. So sending again is
 * harmless, and whichever comes first, the answer or the live event, there is one message.
 */
import { createListenerMiddleware, createSlice, type PayloadAction } from "@reduxjs/toolkit";
import { api, ApiProblem } from "@/shared/api";
import { selectById, selectInScope } from "@/shared/live/selectors";
import type { Message } from "@/shared/live/types";
import type { AppDispatch, RootState } from "@/shared/store";
import { asProblem, sentenceOf } from "@/shared/ui/problem";
import { newClientId } from "./client-id";

export interface Draft {
  readonly clientId: string;
  readonly chat: number;
  readonly sender: number;
  readonly text: string;
  /** By this machine's clock, ISO 8601. */
  readonly createdAt: string;
  readonly state: "sending" | "sent" | "failed";
  /** The message's number, once the server has answered. */
  readonly number: number | null;
  /** Why it failed, in a sentence. */
  readonly problem: string;
}

/** In the order in which they were written. */
export type OutboxState = readonly Draft[];

declare module "@/shared/store" {
  interface FeatureState {
    outbox: OutboxState;
  }
}

interface Written {
  readonly chat: number;
  readonly sender: number;
  readonly text: string;
}

const PATIENCE_MS = 20_000;
const NOTHING: OutboxState = [];

const outbox = createSlice({
  name: "outbox",
  initialState: NOTHING,
  reducers: {
    written: {
      prepare: (written: Written) => ({
        payload: { ...written, clientId: newClientId(), createdAt: new Date().toISOString() },
      }),
      reducer: (state, { payload }: PayloadAction<Written & { clientId: string; createdAt: string }>) => [
        ...state,
        { ...payload, state: "sending" as const, number: null, problem: "" },
      ],
    },
    retried: (state, { payload }: PayloadAction<string>) => changed(state, payload, { state: "sending", problem: "" }),
    answered: (state, { payload }: PayloadAction<{ clientId: string; number: number }>) =>
      changed(state, payload.clientId, { state: "sent", number: payload.number }),
    failed: (state, { payload }: PayloadAction<{ clientId: string; problem: string }>) =>
      changed(state, payload.clientId, { state: "failed", problem: payload.problem }),
    /** They are in the live data now, or nobody wants them any more. */
    settled: (state, { payload }: PayloadAction<readonly string[]>) =>
      state.filter((draft) => !payload.includes(draft.clientId)),
  },
});

export const outboxReducer = outbox.reducer;
export const outboxActions = outbox.actions;

/** Whether the live data has this message, or has had it: it may have been deleted since. */
export function isDelivered(state: RootState, draft: Draft): boolean {
  const scope = scopeOf(draft.chat);
  const held = selectInScope(state, scope, "message").some(
    (message) => message.client_id === draft.clientId && message.sender === draft.sender,
  );
  return held || (draft.number !== null && (selectById(state, "chat", draft.chat)?.last_number ?? 0) >= draft.number);
}

export function scopeOf(chat: number): string {
  return `chat:${chat}`;
}

const listener = createListenerMiddleware<RootState, AppDispatch>();
export const outboxMiddleware = listener.middleware;

// By store and chat: one message of a chat at a time, so that they arrive in the order in which they were written.
const queues = new WeakMap<AppDispatch, Map<number, Promise<void>>>();

listener.startListening({
  matcher: (action) => outboxActions.written.match(action) || outboxActions.retried.match(action),
  effect: (action, { dispatch, getState }) => {
    const clientId = outboxActions.written.match(action) ? action.payload.clientId : String(action.payload);
    const draft = getState().outbox.find((one) => one.clientId === clientId);
    if (!draft) return;
    const chats = queues.get(dispatch) ?? new Map<number, Promise<void>>();
    queues.set(dispatch, chats);
    const before = chats.get(draft.chat) ?? Promise.resolve();
    chats.set(
      draft.chat,
      before.then(() => deliver(draft, dispatch)),
    );
  },
});

listener.startListening({
  predicate: (_action, current, previous) => current.live !== previous.live && current.outbox.length > 0,
  effect: (_action, { dispatch, getState }) => settle(getState(), dispatch),
});

listener.startListening({
  actionCreator: outboxActions.answered,
  effect: (_action, { dispatch, getState }) => settle(getState(), dispatch),
});

function settle(state: RootState, dispatch: AppDispatch): void {
  const delivered = state.outbox.filter((draft) => isDelivered(state, draft)).map((draft) => draft.clientId);
  if (delivered.length > 0) dispatch(outboxActions.settled(delivered));
}

async function deliver({ clientId, chat, text }: Draft, dispatch: AppDispatch): Promise<void> {
  try {
    const sent = api.post<Message>(`/api/chats/${chat}/messages`, { client_id: clientId, text });
    const message = await Promise.race([sent, patience()]);
    dispatch(outboxActions.answered({ clientId, number: message.number }));
  } catch (error) {
    dispatch(outboxActions.failed({ clientId, problem: sentenceOf(asProblem(error)) }));
  }
}

/** Ends the wait for an answer that does not come, so that what was written after it can go out. */
function patience(): Promise<never> {
  return new Promise((_, refuse) =>
    setTimeout(() => refuse(new ApiProblem(0, "The server does not answer. Try again.")), PATIENCE_MS),
  );
}

function changed(state: OutboxState, clientId: string, change: Partial<Draft>): OutboxState {
  return state.map((draft) => (draft.clientId === clientId ? { ...draft, ...change } : draft));
}

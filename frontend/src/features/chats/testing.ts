/** A store with made-up chats, for the tests of this feature. */
import { received } from "@/shared/live/slice";
import type { Entity, Message, Op, WireWindow } from "@/shared/live/types";
import { type AppStore, makeStore } from "@/shared/store";
import { outboxMiddleware, outboxReducer, scopeOf } from "./outbox";
import { startedReducer } from "./started";

export const ME = 7;
const AT = "2026-11-23T08:00:00.000Z";

export interface MadeChat {
  readonly id: number;
  readonly title?: string;
  readonly members?: readonly number[];
  readonly messages?: readonly Message[];
  readonly lastNumber?: number;
  readonly createdAt?: string;
}

export function message(chat: number, number: number, more: Partial<Message> = {}): Message {
  return {
    id: chat * 1000 + number,
    chat,
    sender: 8,
    client_id: `client-${chat}-${number}`,
    number,
    text: `text ${number}`,
    created_at: AT,
    ...more,
  };
}

/** The store of user 7, who is named "Tim Berger"; user 8 is "Amara Okafor", user 9 has no name. */
export function storeWith(chats: readonly MadeChat[], marks: Readonly<Record<number, number>> = {}): AppStore {
  const read_mark = Object.entries(marks).map(([chat, number]) => ({ id: +chat, user: ME, chat: +chat, number }));
  const scopes: Record<string, WireWindow> = {
    [`user:${ME}`]: windowOf({ read_mark }),
    "profile:7": windowOf({ profile: [{ id: 7, user: 7, first_name: "Tim", last_name: "Berger", bio: "" }] }),
    "profile:8": windowOf({ profile: [{ id: 8, user: 8, first_name: "Amara", last_name: "Okafor", bio: "" }] }),
    "profile:9": windowOf({ profile: [{ id: 9, user: 9, first_name: "", last_name: " ", bio: "" }] }),
  };
  for (const { id, title = "", members = [ME], messages = [], lastNumber, createdAt = AT } of chats) {
    const last_number = lastNumber ?? messages.at(-1)?.number ?? 0;
    scopes[scopeOf(id)] = windowOf({
      chat: [{ id, title, last_number, created_at: createdAt }],
      member: members.map((user) => ({ id: id * 100 + user, chat: id, user, role: "member", joined_at: AT })),
      message: messages.map((one) => ({ ...one })),
    });
  }
  return makeStore(
    {
      version: 1,
      path: "/chats/",
      now: AT,
      user: ME,
      snapshot: { epoch: "one", seq: 10, orders: { message: "number" }, scopes },
    },
    { reducers: { outbox: outboxReducer, started: startedReducer }, middleware: [outboxMiddleware] },
  );
}

/** Brings the next live event of a scope. */
export function arrive(store: AppStore, scope: string, ops: readonly Op[]): void {
  const { seq, windows } = store.getState().live;
  const prev = windows[scope]?.at ?? 0;
  store.dispatch(received.eventReceived({ type: "event", seq: seq + 1, scope, prev, ops }));
}

export function upsert(type: string, data: Message | Entity): Op {
  return { op: "upsert", type, id: data.id, data: { ...data } };
}

function windowOf(entities: Readonly<Record<string, readonly Entity[]>>): WireWindow {
  return { entities, bounds: {} };
}

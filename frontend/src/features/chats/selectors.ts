/** What the chats' screens show. The live data holds ids only: names, partners and unread counts are worked out here. */
import { createSelector } from "@reduxjs/toolkit";
import {
  nameOf,
  selectAll,
  selectBound,
  selectById,
  selectInScope,
  selectReady,
  selectViewer,
} from "@/shared/live/selectors";
import type { Message, Profile } from "@/shared/live/types";
import type { RootState } from "@/shared/store";
import { isDelivered, scopeOf, type Draft } from "./outbox";

export interface Person {
  readonly id: number;
  readonly name: string;
}

export interface ChatRow {
  readonly id: number;
  readonly title: string;
  readonly unread: number;
  readonly lastSender: string;
  /** Null while nothing has been said. */
  readonly lastText: string | null;
  /** When something happened last, ISO 8601. */
  readonly at: string;
}

/** A message as it is shown, live or on its way. */
export interface Line {
  /** Stays the same when the live message takes the place of the one on its way. */
  readonly key: string;
  readonly clientId: string;
  readonly sender: number;
  readonly text: string;
  readonly at: string;
  readonly state: Draft["state"];
  readonly problem: string;
}

/** Messages that a chat shows before older ones are asked for. */
const FIRST_PAGE = 50;

type Names = ReadonlyMap<number, string>;
const NOBODY: readonly Person[] = [];
const namesOf = new WeakMap<readonly Profile[], Names>();

function selectNames(state: RootState): Names {
  const profiles = selectAll(state, "profile");
  let names = namesOf.get(profiles);
  if (!names) {
    names = new Map(profiles.map(({ user }) => [user, nameOf(state, user)]));
    namesOf.set(profiles, names);
  }
  return names;
}

function named(names: Names, user: number): string {
  return names.get(user) ?? `user ${user}`;
}

const selectMembersByChat = createSelector(
  [(state: RootState) => selectAll(state, "member"), selectNames],
  (members, names) => {
    const byChat = new Map<number, Person[]>();
    for (const { chat, user } of members) {
      const people = byChat.get(chat) ?? [];
      people.push({ id: user, name: named(names, user) });
      byChat.set(chat, people);
    }
    for (const people of byChat.values()) people.sort(byName);
    return byChat as ReadonlyMap<number, readonly Person[]>;
  },
);

const selectMarks = createSelector([(state: RootState) => selectAll(state, "read_mark")], (marks) => {
  const byChat = new Map<number, number>();
  for (const { chat, number } of marks) byChat.set(chat, Math.max(byChat.get(chat) ?? 0, number));
  return byChat as ReadonlyMap<number, number>;
});

/** The newest message of each chat, in the order of the chats; looked up by chat, as all messages together are many. */
const selectNewest = createSelector(
  [(state: RootState) => state],
  (state) => selectAll(state, "chat").map(({ id }) => selectInScope(state, scopeOf(id), "message").at(-1)),
  { memoizeOptions: { resultEqualityCheck: sameItems } },
);

/** The members of a chat, oneself too, by name. */
export function selectMembers(state: RootState, chat: number): readonly Person[] {
  return selectMembersByChat(state).get(chat) ?? NOBODY;
}

/** The chat's title, or who else is in it where it has none. */
export function selectTitle(state: RootState, chat: number): string {
  return titled(selectById(state, "chat", chat)?.title ?? "", selectMembers(state, chat), selectViewer(state));
}

/** The number of the newest message that one has read. */
export function selectMark(state: RootState, chat: number): number {
  return selectMarks(state).get(chat) ?? 0;
}

/** All chats, the one in which something happened last on top. */
export const selectChatRows = createSelector(
  [
    (state: RootState) => selectAll(state, "chat"),
    selectMembersByChat,
    selectMarks,
    selectNewest,
    selectNames,
    selectViewer,
  ],
  (chats, members, marks, newest, names, viewer) =>
    chats
      .map(({ id, title, last_number, created_at }, index): ChatRow => {
        const last = newest[index];
        return {
          id,
          title: titled(title, members.get(id) ?? NOBODY, viewer),
          unread: Math.max(0, last_number - (marks.get(id) ?? 0)),
          lastSender: last ? named(names, last.sender) : "",
          lastText: last?.text ?? null,
          at: last?.created_at ?? created_at,
        };
      })
      .sort((one, other) => Date.parse(other.at) - Date.parse(one.at) || other.id - one.id) as readonly ChatRow[],
);

export const selectUnreadTotal = createSelector([selectChatRows], (rows) =>
  rows.reduce((sum, { unread }) => sum + unread, 0),
);

/** Whether a chat can be shown, may still come, or is not there for this person. */
export function selectPresence(state: RootState, chat: number): "here" | "coming" | "absent" {
  if (selectById(state, "chat", chat)) return "here";
  return !selectReady(state) || state.started.includes(chat) ? "coming" : "absent";
}

/** Whether there are older messages than those held. */
export function selectHasEarlier(state: RootState, chat: number): boolean {
  return Boolean(selectBound(state, scopeOf(chat), "message"));
}

/** Whether so few messages are held that an open chat has to ask for more. */
export function selectNeedsMore(state: RootState, chat: number): boolean {
  return selectHasEarlier(state, chat) && selectInScope(state, scopeOf(chat), "message").length < FIRST_PAGE;
}

const lines = new WeakMap<Message | Draft, Line>();

/** The messages of a chat from top to bottom; what is on its way comes last. */
export const selectLines = createSelector(
  [
    (state: RootState, chat: number) => selectInScope(state, scopeOf(chat), "message"),
    // Drafts that the live data holds already are gone within the same moment, but not before everyone has looked.
    createSelector(
      [(state: RootState) => state, (state: RootState) => state.outbox, (_: RootState, chat: number) => chat],
      (state, drafts, chat) => drafts.filter((draft) => draft.chat === chat && !isDelivered(state, draft)),
      { memoizeOptions: { resultEqualityCheck: sameItems } },
    ),
  ],
  (messages, drafts) => [...messages, ...[...drafts].sort(sentFirst)].map(lineOf) as readonly Line[],
);

function lineOf(source: Message | Draft): Line {
  let line = lines.get(source);
  if (!line) {
    line =
      "clientId" in source
        ? { ...source, key: keyOf(source.sender, source.clientId), at: source.createdAt }
        : {
            key: keyOf(source.sender, source.client_id),
            clientId: source.client_id,
            sender: source.sender,
            text: source.text,
            at: source.created_at,
            state: "sent",
            problem: "",
          };
    lines.set(source, line);
  }
  return line;
}

/** Ids that senders make are unique for the sender only. */
function keyOf(sender: number, clientId: string): string {
  return `${sender}:${clientId}`;
}

function sentFirst(one: Draft, other: Draft): number {
  return (one.number ?? Number.MAX_SAFE_INTEGER) - (other.number ?? Number.MAX_SAFE_INTEGER);
}

function titled(title: string, members: readonly Person[], viewer: number | null): string {
  const others = members.filter(({ id }) => id !== viewer).map(({ name }) => name);
  return title || others.join(", ") || "Only you";
}

function byName(one: Person, other: Person): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}

function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

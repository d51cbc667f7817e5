import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { api, ApiProblem } from "@/shared/api";
import type { Message } from "@/shared/live/types";
import type { AppStore } from "@/shared/store";
import { newClientId } from "./client-id";
import { outboxActions } from "./outbox";
import { selectLines } from "./selectors";
import { arrive, ME, message, storeWith, upsert } from "./testing";

interface Request {
  readonly body: { readonly client_id: string; readonly text: string };
  readonly answer: (message: Message) => void;
  readonly refuse: (problem: ApiProblem) => void;
}

let requests: Request[];
let store: AppStore;

beforeEach(() => {
  requests = [];
  vi.spyOn(api, "post").mockImplementation(
    (_path, body) =>
      new Promise<never>((answer, refuse) => {
        requests.push({ body: body as Request["body"], answer: answer as unknown as Request["answer"], refuse });
      }),
  );
  store = storeWith([{ id: 1, members: [ME, 8], messages: [message(1, 1)] }]);
});

function write(text: string) {
  store.dispatch(outboxActions.written({ chat: 1, sender: ME, text }));
}

function shown() {
  return selectLines(store.getState(), 1).map(({ text, state }) => `${text}: ${state}`);
}

async function request(index: number): Promise<Request> {
  await vi.waitFor(() => expect(requests.length).toBeGreaterThan(index));
  return requests[index] as Request;
}

/** What the server holds once it has taken a request, as number 2 of the chat. */
function taken({ body }: Request, number = 2): Message {
  return message(1, number, { sender: ME, client_id: body.client_id, text: body.text });
}

function event(sent: Message) {
  const chat = { id: 1, title: "", last_number: sent.number, created_at: sent.created_at };
  arrive(store, "chat:1", [upsert("chat", chat), upsert("message", sent)]);
}

test("a message shows while it is on its way", async () => {
  write("hello");
  expect(shown()).toEqual(["text 1: sent", "hello: sending"]);
  expect((await request(0)).body).toEqual({ client_id: store.getState().outbox[0]?.clientId, text: "hello" });
});

test("the live event may come before the answer", async () => {
  write("hello");
  const sent = await request(0);
  const key = selectLines(store.getState(), 1)[1]?.key;
  event(taken(sent));
  expect(shown()).toEqual(["text 1: sent", "hello: sent"]);
  expect(selectLines(store.getState(), 1)[1]?.key).toBe(key);
  sent.answer(taken(sent));
  await vi.waitFor(() => expect(store.getState().outbox).toEqual([]));
  expect(shown()).toEqual(["text 1: sent", "hello: sent"]);
});

test("the answer may come before the live event", async () => {
  write("hello");
  const sent = await request(0);
  sent.answer(taken(sent));
  await vi.waitFor(() => expect(shown()).toEqual(["text 1: sent", "hello: sent"]));
  expect(store.getState().outbox).toHaveLength(1);
  event(taken(sent));
  expect(shown()).toEqual(["text 1: sent", "hello: sent"]);
  expect(store.getState().outbox).toEqual([]);
});

test("a message that was deleted before it came in does not stay", async () => {
  write("hello");
  const sent = await request(0);
  sent.answer(taken(sent));
  await vi.waitFor(() => expect(shown()).toContain("hello: sent"));
  arrive(store, "chat:1", [upsert("chat", { id: 1, title: "", last_number: 2, created_at: "2026-11-23T08:00:00Z" })]);
  expect(shown()).toEqual(["text 1: sent"]);
  expect(store.getState().outbox).toEqual([]);
});

test("a failed message says why, stays, and is sent again under the same id", async () => {
  write("hello");
  (await request(0)).refuse(new ApiProblem(503, "The server is away."));
  await vi.waitFor(() => expect(shown()).toContain("hello: failed"));
  const [draft] = store.getState().outbox;
  expect(draft?.problem).toBe("The server is away.");

  store.dispatch(outboxActions.retried(draft?.clientId ?? ""));
  expect(shown()).toContain("hello: sending");
  expect((await request(1)).body).toEqual(requests[0]?.body);
});

test("a message whose answer got lost is taken for sent when it comes in live", async () => {
  write("hello");
  const sent = await request(0);
  sent.refuse(new ApiProblem(0, "The server can't be reached."));
  await vi.waitFor(() => expect(shown()).toContain("hello: failed"));
  event(taken(sent));
  expect(shown()).toEqual(["text 1: sent", "hello: sent"]);
});

test("messages of a chat go out one after the other, and go on after one that failed", async () => {
  write("first");
  write("second");
  const first = await request(0);
  expect(requests).toHaveLength(1);
  first.refuse(new ApiProblem(503, "The server is away."));
  expect((await request(1)).body.text).toBe("second");
  requests[1]?.answer(taken(requests[1]));
  await vi.waitFor(() => expect(shown()).toEqual(["text 1: sent", "second: sent", "first: failed"]));
});

test("a message that nobody answers for fails after a while, and does not hold up others", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  write("first");
  write("second");
  await vi.advanceTimersByTimeAsync(19_000);
  expect(shown()).toContain("first: sending");
  await vi.advanceTimersByTimeAsync(2_000);
  vi.useRealTimers();
  expect(shown()).toContain("first: failed");
  expect((await request(1)).body.text).toBe("second");
});

test("ids are UUIDs also where the page is not served securely", () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(newClientId()).toMatch(uuid);
  vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
  expect(newClientId()).toMatch(uuid);
  expect(newClientId()).not.toBe(newClientId());
});

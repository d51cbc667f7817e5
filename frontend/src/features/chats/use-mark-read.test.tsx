import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { Provider } from "react-redux";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { api, ApiProblem } from "@/shared/api";
import { received } from "@/shared/live/slice";
import type { AppStore } from "@/shared/store";
import { arrive, message, storeWith, upsert } from "./testing";
import { useMarkRead } from "./use-mark-read";

let store: AppStore;

const put = vi.fn<typeof api.put>();

function watch(atEnd = true) {
  const wrapper = ({ children }: { children: ReactNode }) => <Provider store={store}>{children}</Provider>;
  return renderHook((end: boolean) => useMarkRead(1, end), { wrapper, initialProps: atEnd });
}

function see(state: DocumentVisibilityState) {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
  document.dispatchEvent(new Event("visibilitychange"));
}

async function settle() {
  await act(() => vi.advanceTimersByTimeAsync(1_000));
}

beforeEach(() => {
  vi.useFakeTimers();
  put.mockReset().mockResolvedValue(undefined);
  vi.spyOn(api, "put").mockImplementation(put);
  store = storeWith([{ id: 1, lastNumber: 3 }], { 1: 1 });
});

afterEach(() => void vi.useRealTimers());

test("what is in sight is marked read, once", async () => {
  watch();
  await settle();
  act(() => arrive(store, "user:7", [upsert("job", { id: 5 })]));
  await settle();
  expect(put).toHaveBeenCalledExactlyOnceWith("/api/chats/1/read", { number: 3 });
  act(() =>
    arrive(store, "chat:1", [
      upsert("chat", { id: 1, title: "", last_number: 4, created_at: message(1, 4).created_at }),
    ]),
  );
  await settle();
  expect(put).toHaveBeenLastCalledWith("/api/chats/1/read", { number: 4 });
});

test("nothing is marked whose end is out of sight, or that nobody looks at, until then", async () => {
  see("hidden");
  const { rerender } = watch(false);
  await settle();
  rerender(true);
  await settle();
  expect(put).not.toHaveBeenCalled();
  act(() => see("visible"));
  expect(put).toHaveBeenCalledOnce();
});

test("what is read already is not said again", async () => {
  store = storeWith([{ id: 1, lastNumber: 3 }], { 1: 3 });
  watch();
  await settle();
  expect(put).not.toHaveBeenCalled();
});

test("what could not be said is said again when the connection is back", async () => {
  put.mockRejectedValueOnce(new ApiProblem(0, "The server can't be reached."));
  watch();
  await settle();
  act(() => void store.dispatch(received.linkChanged("live")));
  await settle();
  expect(put).toHaveBeenCalledTimes(2);
});

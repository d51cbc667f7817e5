/** The composition root of the store: what shared knows plus what features keep. */
import { outboxMiddleware, outboxReducer } from "@/features/chats/outbox";
import { startedReducer } from "@/features/chats/started";
import type { PageData } from "@/shared/page-data";
import { makeStore, type AppStore, type Features } from "@/shared/store";

const features: Features = {
  reducers: { outbox: outboxReducer, started: startedReducer },
  middleware: [outboxMiddleware],
};

export function makeAppStore(data: PageData | null): AppStore {
  return makeStore(data, features);
}

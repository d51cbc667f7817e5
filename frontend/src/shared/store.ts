import { combineReducers, configureStore, type Middleware, type ReducersMapObject } from "@reduxjs/toolkit";
import { useDispatch, useSelector } from "react-redux";
import { liveMiddleware } from "./live/middleware";
import { liveReducer, received } from "./live/slice";
import type { LiveState } from "./live/types";
import type { PageData } from "./page-data";

/**
 * The state of features. A feature that keeps state says so where its slice is:
 * `declare module "@/shared/store" { interface FeatureState { drafts: DraftsState } }`, and `src/app-store.ts` adds the reducer.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- features add to it
export interface FeatureState {}

export interface RootState extends FeatureState {
  live: LiveState;
}

/** What the composition root adds to the store: one reducer a key of `FeatureState`, and middleware. */
export interface Features {
  readonly reducers: ReducersMapObject<FeatureState>;
  readonly middleware: readonly Middleware<object, RootState>[];
}

/** Makes the store of one document; with the page's data in it, if there is any. */
export function makeStore(data: PageData | null, features: Features) {
  const reducer = combineReducers({ ...features.reducers, live: liveReducer } as ReducersMapObject<RootState>);
  const store = configureStore({
    reducer,
    // Their checks walk the whole state after every event; frozen state and types catch the same mistakes.
    middleware: (defaults) =>
      defaults({ immutableCheck: false, serializableCheck: false }).concat(liveMiddleware(), ...features.middleware),
  });
  loadPage(store.dispatch, data);
  return store;
}

/** Puts the data of a page into a store that came up without it. */
export function loadPage(dispatch: AppDispatch, data: PageData | null): void {
  if (data?.user != null && data.snapshot) dispatch(received.pageLoaded({ user: data.user, snapshot: data.snapshot }));
}

export type AppStore = ReturnType<typeof makeStore>;
export type AppDispatch = AppStore["dispatch"];
export const useAppSelector = useSelector.withTypes<RootState>();
export const useAppDispatch = useDispatch.withTypes<AppDispatch>();

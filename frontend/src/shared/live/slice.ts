import { createSlice, type PayloadAction } from "@reduxjs/toolkit";
import * as moment from "./moment";
import * as logic from "./store-logic";
import type {
  EventFrame,
  HeartbeatFrame,
  Link,
  LiveState,
  PageFrame,
  PageSnapshot,
  PresenceFrame,
  ScopeFrame,
  Signal,
  SnapshotFrame,
  WelcomeFrame,
} from "./types";

/** A snapshot that came with the page instead of over the socket. */
export interface PageLoad {
  readonly user: number;
  readonly snapshot: PageSnapshot;
}

const liveSlice = createSlice({
  name: "live",
  initialState: logic.emptyState,
  reducers: {
    pageLoaded(state, { payload }: PayloadAction<PageLoad>) {
      logic.applyWelcome(state, payload.snapshot);
      logic.applySnapshot(state, { ...payload.snapshot, user: payload.user });
    },
    welcomed(state, { payload }: PayloadAction<WelcomeFrame>) {
      logic.applyWelcome(state, payload);
    },
    snapshotReceived(state, { payload }: PayloadAction<SnapshotFrame>) {
      logic.applySnapshot(state, payload);
    },
    eventReceived(state, { payload }: PayloadAction<EventFrame>) {
      logic.applyEvent(state, payload);
    },
    heartbeatReceived(state, { payload }: PayloadAction<HeartbeatFrame>) {
      logic.applyHeartbeat(state, payload);
    },
    scopeReceived(state, { payload }: PayloadAction<ScopeFrame>) {
      logic.applyScope(state, payload);
    },
    pageReceived(state, { payload }: PayloadAction<PageFrame>) {
      logic.applyPage(state, payload);
    },
    signalReceived(state, { payload }: PayloadAction<Signal>) {
      moment.applySignal(state, payload);
    },
    /** It is so late by the client's monotonic clock, in milliseconds. */
    signalsEnded(state, { payload }: PayloadAction<number>) {
      moment.endSignals(state, payload);
    },
    presenceReceived(state, { payload }: PayloadAction<PresenceFrame>) {
      moment.applyPresence(state, payload);
    },
    /** A load (`entity` null) or page went out. */
    asked(state, { payload }: PayloadAction<{ scope: string; entity: string | null }>) {
      logic.expectAnswer(state, payload.scope, payload.entity);
    },
    linkChanged(state, { payload }: PayloadAction<Link>) {
      state.link = payload;
      if (payload !== "live") logic.expectNothing(state);
    },
  },
});

export const liveReducer = liveSlice.reducer;
/** What changes the store; only the live middleware and the page's loading dispatch these. */
export const received = liveSlice.actions;
export type { LiveState };

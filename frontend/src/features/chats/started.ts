/** Chats that one has just started and that the live data does not hold yet. */
import { createSlice, type PayloadAction } from "@reduxjs/toolkit";

export type StartedState = readonly number[];

declare module "@/shared/store" {
  interface FeatureState {
    started: StartedState;
  }
}

const NOTHING: StartedState = [];

const started = createSlice({
  name: "started",
  initialState: NOTHING,
  reducers: {
    chatStarted: (state, { payload }: PayloadAction<number>) => [...state, payload],
    chatArrived: (state, { payload }: PayloadAction<number>) => state.filter((id) => id !== payload),
  },
});

export const startedReducer = started.reducer;
export const { chatStarted, chatArrived } = started.actions;

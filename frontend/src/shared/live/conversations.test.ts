/** Drives the connection with the examples that every other client is tested with. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { selectPresent, selectTyping } from "./selectors";
import type { Present, ServerFrame } from "./types";
import { vectors } from "./vectors.testing";
import { type World, worldOfEachTest } from "./world.testing";

interface Step {
  /** Seconds from the start. */
  readonly at: number;
  readonly says?: readonly ServerFrame[];
  readonly sends?: readonly object[];
  readonly typing?: Readonly<Record<string, readonly number[]>>;
  readonly present?: Readonly<Record<string, Present | null>>;
}

interface Conversation {
  readonly name: string;
  readonly random: number;
  readonly steps: readonly Step[];
}

interface Close {
  readonly code: number;
  readonly failures: number;
  /** Seconds; null: for ever. */
  readonly wait: readonly [number, number] | null;
}

const conversations = vectors.conversations as readonly Conversation[];
const closes = vectors.closes as readonly Close[];

let world: World;
const current = worldOfEachTest();
beforeEach(() => void (world = current()));

describe("a conversation", () => {
  it.each(conversations.map((vector) => [vector.name, vector] as const))("%s", (_name, { random, steps }) => {
    world.random.mockReturnValue(random);
    world.start();
    world.last.handlers.onOpen();
    let [clock, seen] = [0, 0];
    for (const { at, says = [], sends = [], typing = {}, present = {} } of steps) {
      vi.advanceTimersByTime(Math.round(at * 1000) - clock);
      clock = Math.round(at * 1000);
      world.says(...says);
      expect(world.last.sent.slice(seen), `sent by ${at} s`).toEqual(sends);
      seen = world.last.sent.length;
      for (const [scope, users] of Object.entries(typing)) expect(selectTyping(world.state, scope)).toEqual(users);
      for (const [scope, who] of Object.entries(present)) {
        expect(selectPresent(world.state, scope) ?? null).toEqual(who);
      }
    }
    expect(world.attempts).toHaveLength(1);
  });
});

describe("after a close", () => {
  type Row = readonly [code: number, failures: number, share: 0 | 1, wait: number | null];
  const rows = closes.flatMap(({ code, failures, wait }): Row[] =>
    wait
      ? [
          [code, failures, 0, wait[0]],
          [code, failures, 1, wait[1]],
        ]
      : [[code, failures, 0, null]],
  );

  it.each(rows)("with %i, failure %i in a row, at %i of the range, it waits %s s", (code, failures, share, wait) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    world.goesLive();
    world.random.mockReturnValue(0);
    for (let failure = 1; failure < failures; failure += 1) {
      world.hangsUp();
      vi.advanceTimersByTime(0);
    }
    world.random.mockReturnValue(share);
    world.hangsUp(code);
    expect(world.attempts).toHaveLength(failures);
    if (wait === null) {
      vi.advanceTimersByTime(600_000);
      expect(world.attempts).toHaveLength(failures);
      return;
    }
    vi.advanceTimersByTime(Math.max(0, wait * 1000 - 1));
    expect(world.attempts, "too early").toHaveLength(failures + (wait === 0 ? 1 : 0));
    vi.advanceTimersByTime(1);
    expect(world.attempts, "too late").toHaveLength(failures + 1);
  });
});

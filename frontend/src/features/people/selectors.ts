import { nameOf, selectAll } from "@/shared/live/selectors";
import type { Profile } from "@/shared/live/types";
import type { RootState } from "@/shared/store";

export interface Acquaintance {
  readonly id: number;
  readonly name: string;
  readonly about: string;
}

const people = new WeakMap<readonly Profile[], readonly Acquaintance[]>();

/** Everyone whose profile can be seen, by name. */
export function selectPeople(state: RootState): readonly Acquaintance[] {
  const profiles = selectAll(state, "profile");
  let result = people.get(profiles);
  if (!result) {
    result = profiles
      .map(({ user, bio }) => ({ id: user, name: nameOf(state, user), about: bio }))
      .sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0));
    people.set(profiles, result);
  }
  return result;
}

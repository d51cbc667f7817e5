import { Search } from "lucide-react";
import { useRouter } from "next/router";
import { type FormEvent, useEffect, useState } from "react";
import { api, type ApiProblem } from "@/shared/api";
import { selectViewer } from "@/shared/live/selectors";
import type { Account, Chat } from "@/shared/live/types";
import { useAppDispatch, useAppSelector } from "@/shared/store";
import { Alert } from "@/shared/ui/alert";
import { Avatar } from "@/shared/ui/avatar";
import { Button } from "@/shared/ui/button";
import { Dialog } from "@/shared/ui/dialog";
import { Field } from "@/shared/ui/field";
import { asProblem, sentenceOf } from "@/shared/ui/problem";
import { UserText } from "@/shared/ui/user-text";
import { chatStarted } from "./started";

type Person = Pick<Account, "id" | "username">;

const TYPING_MS = 200;

/** Asks for a title and people, starts the chat and opens it. */
export function NewChat({ onClose }: { readonly onClose: () => void }) {
  const router = useRouter();
  const dispatch = useAppDispatch();
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<readonly Person[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const { found, failed } = usePeople(search);
  const offered = found && [...chosen.filter(({ id }) => !found.some((one) => one.id === id)), ...found];

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget).get("title") ?? "");
    setBusy(true);
    setProblem(null);
    try {
      const chat = await api.post<Chat>("/api/chats", { title, members: chosen.map(({ id }) => id) });
      dispatch(chatStarted(chat.id));
      onClose();
      await router.push(`/chats/${chat.id}/`);
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  }

  function toggle(person: Person, on: boolean) {
    setChosen((before) => (on ? [...before, person] : before.filter(({ id }) => id !== person.id)));
  }

  return (
    <Dialog title="New chat" onClose={onClose}>
      <form onSubmit={submit} className="flex min-h-0 flex-1 flex-col gap-4">
        <Field
          label="Title"
          name="title"
          dir="auto"
          maxLength={200}
          placeholder="Optional"
          autoComplete="off"
          data-autofocus
          problem={problem?.fields.title}
        />
        <div className="flex min-h-0 flex-1 flex-col gap-2">
          <label htmlFor="find-people" className="text-sm font-medium">
            Find people
          </label>
          <span className="relative block">
            <Search aria-hidden="true" className="absolute top-3.5 left-4 z-10 size-5 text-muted" />
            <input
              id="find-people"
              type="search"
              value={search}
              onChange={(event) => setSearch(event.target.value)}
              onKeyDown={(event) => {
                // Enter here means "search", which happens by itself.
                if (event.key === "Enter") event.preventDefault();
              }}
              maxLength={150}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              placeholder="User name"
              className="input field h-12 w-full pl-11"
            />
          </span>
          <div className="-mx-2 h-56 min-h-24 overflow-y-auto overscroll-contain">
            {failed ? (
              <div className="p-2">
                <Alert>{failed}</Alert>
              </div>
            ) : offered?.length === 0 ? (
              <p className="px-2 py-6 text-center text-sm text-muted">Nobody has a name like that.</p>
            ) : (
              <ul aria-label="People found" aria-busy={!offered}>
                {offered?.map((person) => (
                  <Choice
                    key={person.id}
                    person={person}
                    chosen={chosen.some(({ id }) => id === person.id)}
                    onToggle={toggle}
                  />
                ))}
              </ul>
            )}
          </div>
        </div>
        {problem ? <Alert>{sentenceOf(problem, ["title"])}</Alert> : null}
        <Button type="submit" busy={busy} className="h-12 text-base btn-primary">
          Start chat
        </Button>
      </form>
    </Dialog>
  );
}

interface ChoiceProps {
  readonly person: Person;
  readonly chosen: boolean;
  readonly onToggle: (person: Person, on: boolean) => void;
}

function Choice({ person, chosen, onToggle }: ChoiceProps) {
  return (
    <li>
      <label className="flex cursor-pointer items-center gap-3 rounded-xl px-2 py-2 hover:bg-base-200">
        <Avatar id={person.id} name={person.username} size="small" />
        <UserText className="min-w-0 flex-1 truncate">{person.username}</UserText>
        <input
          type="checkbox"
          checked={chosen}
          onChange={(event) => onToggle(person, event.target.checked)}
          className="checkbox tick checkbox-primary"
        />
      </label>
    </li>
  );
}

/** Everyone else whose user name contains `search`; `found` is null before the first answer. */
function usePeople(search: string) {
  const viewer = useAppSelector(selectViewer);
  const [answer, setAnswer] = useState<{ found: readonly Person[] | null; failed: string }>({
    found: null,
    failed: "",
  });

  useEffect(() => {
    let current = true;
    const timer = setTimeout(
      () =>
        api.get<Person[]>(`/api/people?search=${encodeURIComponent(search.trim())}`).then(
          (people) => current && setAnswer({ found: people.filter(({ id }) => id !== viewer), failed: "" }),
          (error: unknown) => current && setAnswer({ found: null, failed: sentenceOf(asProblem(error)) }),
        ),
      search ? TYPING_MS : 0,
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [search, viewer]);

  return answer;
}

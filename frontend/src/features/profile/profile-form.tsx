import { Check } from "lucide-react";
import { type ChangeEvent, type FormEvent, useState } from "react";
import { api, type ApiProblem } from "@/shared/api";
import type { Profile } from "@/shared/live/types";
import { Alert } from "@/shared/ui/alert";
import { Button } from "@/shared/ui/button";
import { Area, Field } from "@/shared/ui/field";
import { asProblem, sentenceOf } from "@/shared/ui/problem";
import { useHydrated } from "@/shared/ui/use-hydrated";

type Name = "first_name" | "last_name" | "bio";
type Values = Partial<Record<Name, string>>;

interface Form {
  /** What was typed and is not saved: it stands instead of the live value. */
  readonly edits: Values;
  /** What was saved, and the live profile of then: it stands until that profile changes. */
  readonly saved: { readonly values: Values; readonly before: Profile | undefined } | null;
  readonly status: "idle" | "saving" | "saved";
  readonly problem: ApiProblem | null;
}

const UNTOUCHED: Form = { edits: {}, saved: null, status: "idle", problem: null };

/** Changes the own profile; what somebody else or another window saves shows at once, but never under one's fingers. */
export function ProfileForm({ profile }: { readonly profile: Profile | undefined }) {
  const hydrated = useHydrated();
  const [{ edits, saved, status, problem }, setForm] = useState(UNTOUCHED);
  // Until the live data has it too, what was saved must not seem to jump back.
  const pending = saved && saved.before === profile ? saved.values : {};

  function field(name: Name) {
    return {
      name,
      dir: "auto" as const,
      readOnly: !hydrated,
      value: edits[name] ?? pending[name] ?? profile?.[name] ?? "",
      problem: problem?.fields[name],
      onChange: ({ target }: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) =>
        setForm((form) => ({ ...form, edits: { ...form.edits, [name]: target.value }, status: "idle" })),
    };
  }

  async function submit(event: FormEvent) {
    event.preventDefault();
    setForm((form) => ({ ...form, status: "saving", problem: null }));
    try {
      await api.patch("/api/profile", edits);
      setForm((form) => ({
        // What was typed meanwhile is not saved.
        edits: without(form.edits, edits),
        saved: { values: { ...pending, ...edits }, before: profile },
        status: "saved",
        problem: null,
      }));
    } catch (error) {
      const told = asProblem(error);
      setForm((form) => ({ ...form, status: "idle", problem: told }));
    }
  }

  return (
    <form
      aria-label="Profile"
      onSubmit={submit}
      className="flex flex-col gap-5 rounded-box border border-base-300 bg-base-100 p-5 sm:p-6"
    >
      <div className="grid gap-5 sm:grid-cols-2">
        <Field label="First name" autoComplete="given-name" maxLength={100} {...field("first_name")} />
        <Field label="Last name" autoComplete="family-name" maxLength={100} {...field("last_name")} />
      </div>
      <Area label="About me" maxLength={2000} rows={4} {...field("bio")} />
      {problem ? <Alert>{sentenceOf(problem, ["first_name", "last_name", "bio"])}</Alert> : null}
      <div className="flex min-h-11 items-center gap-4">
        <Button type="submit" busy={status === "saving"} className="h-11 px-6 text-base btn-primary">
          Save
        </Button>
        <p role="status" className="flex items-center gap-1.5 font-medium text-success">
          {status === "saved" ? (
            <>
              <Check aria-hidden="true" className="size-4.5" />
              Saved
            </>
          ) : null}
        </p>
      </div>
    </form>
  );
}

/** The edits that are not among those saved. */
function without(edits: Values, saved: Values): Values {
  return Object.fromEntries(Object.entries(edits).filter(([name, value]) => saved[name as Name] !== value));
}

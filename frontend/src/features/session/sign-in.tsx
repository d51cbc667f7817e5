import { type FormEvent, useState } from "react";
import { api, type ApiProblem } from "@/shared/api";
import { Alert } from "@/shared/ui/alert";
import { Brand } from "@/shared/ui/brand";
import { Button } from "@/shared/ui/button";
import { Field } from "@/shared/ui/field";
import { DocumentHead, PRODUCT } from "@/shared/ui/document-head";
import { asProblem, sentenceOf } from "@/shared/ui/problem";
import { nextPath } from "./next-path";

/** The page on which one signs in; then it goes on to where one wanted to be. */
export function SignIn() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    // Read from the form: what a password manager filled in before the page listened counts too.
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setProblem(null);
    try {
      await api.post("/api/session", { username: form.get("username"), password: form.get("password") });
      window.location.assign(nextPath(window.location));
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  }

  return (
    <main className="grid min-h-dvh place-items-center px-5 py-10">
      <DocumentHead title="Sign in" />
      <div className="flex w-full max-w-sm flex-col gap-8">
        <div className="flex flex-col items-center gap-4 text-center">
          <Brand className="size-16" />
          <div className="flex flex-col gap-1">
            <p className="text-xl font-semibold tracking-tight">{PRODUCT}</p>
            <p className="text-muted">Good to see you again.</p>
          </div>
        </div>
        <form
          method="post"
          onSubmit={submit}
          aria-labelledby="sign-in"
          className="flex flex-col gap-5 rounded-box border border-base-300 bg-base-100 p-6 sm:p-8"
        >
          <h1 id="sign-in" className="text-2xl font-semibold tracking-tight">
            Sign in
          </h1>
          {problem ? <Alert>{sentenceOf(problem, ["username", "password"])}</Alert> : null}
          <Field
            label="User name"
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            autoCorrect="off"
            spellCheck={false}
            maxLength={150}
            required
            problem={problem?.fields.username}
          />
          <Field
            label="Password"
            name="password"
            type="password"
            autoComplete="current-password"
            maxLength={1000}
            required
            problem={problem?.fields.password}
          />
          <Button type="submit" busy={busy} className="h-12 text-base btn-primary">
            Sign in
          </Button>
        </form>
      </div>
    </main>
  );
}

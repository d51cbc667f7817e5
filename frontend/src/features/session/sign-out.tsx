import { LogOut } from "lucide-react";
import { useState } from "react";
import { api } from "@/shared/api";
import { liveActions } from "@/shared/live/middleware";
import { useAppDispatch } from "@/shared/store";
import { Alert } from "@/shared/ui/alert";
import { Button } from "@/shared/ui/button";
import { asProblem, sentenceOf } from "@/shared/ui/problem";

/** Ends the session, here and for every socket of it. */
export function SignOut() {
  const dispatch = useAppDispatch();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");

  async function signOut() {
    setBusy(true);
    setProblem("");
    dispatch(liveActions.stop());
    try {
      await api.delete("/api/session");
      window.location.assign("/sign-in/");
    } catch (error) {
      setProblem(sentenceOf(asProblem(error)));
      setBusy(false);
      dispatch(liveActions.start());
    }
  }

  return (
    <div className="flex flex-col items-start gap-3">
      {problem ? <Alert>{problem}</Alert> : null}
      <Button busy={busy} onClick={signOut} className="h-11 btn-outline btn-error">
        <LogOut aria-hidden="true" className="size-4.5" />
        Sign out
      </Button>
    </div>
  );
}

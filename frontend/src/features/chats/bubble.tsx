import type { UnknownAction } from "@reduxjs/toolkit";
import { Check, Clock, RotateCw, Trash2 } from "lucide-react";
import { memo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { nameOf } from "@/shared/live/selectors";
import { useAppDispatch, useAppSelector } from "@/shared/store";
import { Avatar, faceOf } from "@/shared/ui/avatar";
import { Button } from "@/shared/ui/button";
import { Time } from "@/shared/ui/time";
import { outboxActions } from "./outbox";
import type { Line } from "./selectors";

interface BubbleProps {
  readonly line: Line;
  readonly own: boolean;
  readonly many: boolean;
  /** The first or last of messages that stand together. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Longer messages show their beginning until one asks for more. */
const LONG = 1200;
const LONG_LINES = 24;

/** One message. */
export const Bubble = memo(function Bubble({ line, own, many, first, last }: BubbleProps) {
  const { clientId, sender, text, at, state, problem } = line;
  const name = useAppSelector((root) => nameOf(root, sender));
  const faced = many && !own;
  const colours = own ? "bg-own text-own-content" : "bg-theirs text-base-content border border-base-300";
  const corner = last ? (own ? "rounded-br-md" : "rounded-bl-md") : "";

  return (
    <li
      data-message=""
      data-client-id={clientId}
      data-state={state}
      className={`flex gap-2 ${own ? "justify-end" : "justify-start"} ${first ? "mt-3 first:mt-0" : "mt-1"}`}
    >
      {faced ? (
        <span className="w-8 self-end">{last ? <Avatar id={sender} name={name} size="small" /> : null}</span>
      ) : null}
      <div className={`flex max-w-[82%] min-w-0 flex-col lg:max-w-[75%] ${own ? "items-end" : "items-start"}`}>
        <span
          dir="auto"
          className={`user-text ${faced && first ? `face-name ${faceOf(sender)} mx-3 mb-0.5 max-w-full truncate text-xs font-semibold` : "sr-only"}`}
        >
          {name}
        </span>
        <Text text={text} className={`rounded-3xl ${corner} ${colours}`} />
        <span
          className={last || state === "failed" ? "mx-3 mt-1 flex items-center gap-1 text-xs text-muted" : "sr-only"}
        >
          <Time at={at} as="clock" />
          {own ? <Progress state={state} /> : null}
        </span>
        {state === "failed" ? <Failed clientId={clientId} problem={problem} /> : null}
      </div>
    </li>
  );
});

function Progress({ state }: { readonly state: Line["state"] }) {
  if (state === "failed") return <span className="font-semibold text-error">Not sent</span>;
  const Icon = state === "sent" ? Check : Clock;
  return (
    <>
      <Icon aria-hidden="true" className="size-3.5" />
      <span className="sr-only">{state === "sent" ? "Sent" : "Sending"}</span>
    </>
  );
}

function Text({ text, className }: { readonly text: string; readonly className: string }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const long = text.length > LONG || text.split("\n", LONG_LINES + 1).length > LONG_LINES;

  /** The log keeps its distance from the end; here its reader looks at the beginning of this message. */
  function toggle() {
    const element = box.current;
    const before = element?.getBoundingClientRect().top ?? 0;
    flushSync(() => setOpen(!open));
    const log = element?.closest("[role=log]");
    if (element && log) log.scrollTop += element.getBoundingClientRect().top - before;
  }

  return (
    <div ref={box} className={`max-w-full min-w-0 overflow-hidden px-4 py-2.5 ${className}`}>
      <p
        dir="auto"
        data-text=""
        className={`user-text leading-relaxed whitespace-pre-wrap ${long && !open ? "clipped" : ""}`}
      >
        {text}
      </p>
      {long ? (
        <button
          type="button"
          aria-expanded={open}
          onClick={toggle}
          className="mt-1 min-h-8 rounded font-semibold underline underline-offset-4 focus-visible:outline-current"
        >
          {open ? "Show less" : "Show more"}
        </button>
      ) : null}
    </div>
  );
}

function Failed({ clientId, problem }: { readonly clientId: string; readonly problem: string }) {
  const dispatch = useAppDispatch();

  function decide(button: HTMLElement, action: UnknownAction) {
    // The button goes with its press; who uses a keyboard stays among the messages.
    button.closest<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
    dispatch(action);
  }

  return (
    <div className="mx-1 mt-1 flex flex-col items-end gap-1">
      <p role="alert" className="user-text mx-2 text-sm text-error">
        {problem}
      </p>
      <div className="flex gap-1">
        <Button
          aria-label="Discard"
          onClick={({ currentTarget }) => decide(currentTarget, outboxActions.settled([clientId]))}
          className="btn-circle size-9 btn-ghost"
        >
          <Trash2 aria-hidden="true" className="size-4" />
        </Button>
        <Button
          onClick={({ currentTarget }) => decide(currentTarget, outboxActions.retried(clientId))}
          className="h-9 rounded-full btn-outline btn-error"
        >
          <RotateCw aria-hidden="true" className="size-4" />
          Try again
        </Button>
      </div>
    </div>
  );
}

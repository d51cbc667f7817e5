import { SendHorizontal } from "lucide-react";
import { type KeyboardEvent, useRef } from "react";
import { Button } from "@/shared/ui/button";
import { useHydrated } from "@/shared/ui/use-hydrated";

interface ComposerProps {
  readonly chat: number;
  readonly onSend: (text: string) => void;
}

const LONGEST_TEXT = 10_000;

// What was written and not sent, by chat: looking something up in another chat must not lose it.
const unsent = new Map<number, string>();

/** Where one writes: Enter sends, Shift and Enter begins a line. */
export function Composer({ chat, onSend }: ComposerProps) {
  const hydrated = useHydrated();
  const area = useRef<HTMLTextAreaElement>(null);

  function send() {
    const element = area.current;
    if (!element?.value.trim()) return;
    onSend(element.value);
    element.value = "";
    unsent.delete(chat);
    element.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    // Enter that ends a composition picks a word: 229, because for Safari the composition is over by then.
    const composing = event.nativeEvent.isComposing || event.nativeEvent.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    send();
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      className="shrink-0 border-t border-base-300 bg-base-100 p-2 lg:px-6 lg:py-4"
    >
      <div className="mx-auto flex max-w-3xl items-end gap-2 lg:px-6">
        <textarea
          ref={area}
          aria-label="Message"
          dir="auto"
          rows={1}
          maxLength={LONGEST_TEXT}
          placeholder="Write a message"
          defaultValue={unsent.get(chat) ?? ""}
          readOnly={!hydrated}
          enterKeyHint="send"
          onChange={(event) => unsent.set(chat, event.target.value)}
          onKeyDown={onKeyDown}
          className="textarea field field-sizing-content max-h-40 min-h-11 flex-1 resize-none rounded-3xl px-4 py-2.5 leading-normal"
        />
        <Button type="submit" aria-label="Send" className="btn-circle size-11 btn-primary">
          <SendHorizontal aria-hidden="true" className="size-5" />
        </Button>
      </div>
    </form>
  );
}

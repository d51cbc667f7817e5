import { ArrowDown, History, MessageCircleHeart } from "lucide-react";
import { Fragment, type RefObject, useLayoutEffect, useRef, useState } from "react";
import { selectFilling } from "@/shared/live/selectors";
import { liveActions } from "@/shared/live/middleware";
import { useAppDispatch, useAppSelector } from "@/shared/store";
import { Button } from "@/shared/ui/button";
import { EmptyState } from "@/shared/ui/empty-state";
import { Time } from "@/shared/ui/time";
import { dayNumber } from "@/shared/ui/time-format";
import { useZone } from "@/shared/ui/use-zone";
import { Bubble } from "./bubble";
import { scopeOf } from "./outbox";
import { type Line, selectHasEarlier, selectLines } from "./selectors";

interface MessageLogProps {
  readonly chat: number;
  readonly viewer: number | null;
  /** More than two are in the chat: it is said above a message whose it is. */
  readonly many: boolean;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly onEnd: (atEnd: boolean) => void;
}

/** How far from the end still counts as the end, in pixels. */
const NEAR = 48;
/** Messages of one person within this time stand together, in milliseconds. */
const TOGETHER_MS = 5 * 60 * 1000;

/**
 * What was said. The log is laid out from its end (a reversed column), so that it opens at the newest message without a
 * script, stays there, and keeps its place when older messages come in above.
 */
export function MessageLog({ chat, viewer, many, scroller, onEnd }: MessageLogProps) {
  const dispatch = useAppDispatch();
  const lines = useAppSelector((state) => selectLines(state, chat));
  const earlier = useAppSelector((state) => selectHasEarlier(state, chat));
  const filling = useAppSelector((state) => selectFilling(state, scopeOf(chat)));
  const zone = useZone();
  // The newest message when its reader left the end; null while there.
  const [leftAt, setLeftAt] = useState<string | null>(null);
  const place = useRef<Place | null>(null);
  const newest = lines.at(-1);
  const days = lines.map((line) => dayNumber(line.at, zone));

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (leftAt !== null && place.current) restore(element, place.current);
    place.current = placeOf(element);
  }, [lines, leftAt, scroller]);

  function onScroll() {
    const element = scroller.current;
    if (!element) return;
    place.current = placeOf(element);
    const atEnd = Math.abs(element.scrollTop) < NEAR;
    if (atEnd === (leftAt === null)) return;
    setLeftAt(atEnd ? null : (newest?.key ?? ""));
    onEnd(atEnd);
  }

  function toEnd() {
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    scroller.current?.scrollTo({ top: 0, behavior: still ? "instant" : "smooth" });
  }

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div
        ref={scroller}
        role="log"
        aria-label="Messages"
        aria-busy={filling}
        aria-relevant="additions"
        tabIndex={0}
        onScroll={onScroll}
        className="flex flex-1 flex-col-reverse overflow-y-auto overscroll-contain [overflow-anchor:none] focus-visible:-outline-offset-2"
      >
        <div className="mx-auto flex w-full max-w-3xl flex-col px-3 py-4 lg:px-6">
          {earlier ? (
            <Button
              busy={filling}
              onClick={() => dispatch(liveActions.fill({ scope: scopeOf(chat), entity: "message" }))}
              className="mb-2 h-11 self-center rounded-full btn-ghost"
            >
              <History aria-hidden="true" className={`size-4.5 ${filling ? "animate-pulse" : ""}`} />
              Earlier messages
            </Button>
          ) : null}
          {lines.length > 0 ? (
            <ol className="flex flex-col">
              {lines.map((line, index) => {
                const before = lines[index - 1];
                const after = lines[index + 1];
                const newDay = days[index] !== days[index - 1];
                return (
                  <Fragment key={line.key}>
                    {newDay ? (
                      <li className="my-4 text-center text-xs font-semibold text-muted first:mt-0">
                        <Time at={line.at} as="day" />
                      </li>
                    ) : null}
                    <Bubble
                      line={line}
                      own={line.sender === viewer}
                      many={many}
                      first={newDay || !together(before, line)}
                      last={!after || days[index] !== days[index + 1] || !together(line, after)}
                    />
                  </Fragment>
                );
              })}
            </ol>
          ) : (
            <div className="flex min-h-80 flex-col">
              <EmptyState icon={MessageCircleHeart} title="Nothing said yet">
                Write the first message.
              </EmptyState>
            </div>
          )}
        </div>
      </div>
      {leftAt !== null && newest && newest.key !== leftAt && newest.sender !== viewer ? (
        <Button onClick={toEnd} className="absolute bottom-3 h-10 self-center rounded-full shadow-lg btn-accent">
          <ArrowDown aria-hidden="true" className="size-4.5" />
          New messages
        </Button>
      ) : null}
    </div>
  );
}

function together(before: Line | undefined, line: Line): boolean {
  return before?.sender === line.sender && Date.parse(line.at) - Date.parse(before.at) < TOGETHER_MS;
}

/** The first message in sight, and how far below the log's top it begins. */
interface Place {
  readonly element: Element;
  readonly top: number;
}

function placeOf(scroller: HTMLElement): Place | null {
  const edge = scroller.getBoundingClientRect().top;
  for (const element of scroller.querySelectorAll("[data-message]")) {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > edge) return { element, top: top - edge };
  }
  return null;
}

function restore(scroller: HTMLElement, { element, top }: Place): void {
  if (!scroller.contains(element)) return;
  scroller.scrollTop += element.getBoundingClientRect().top - scroller.getBoundingClientRect().top - top;
}

import { useEffect, useRef } from "react";
import { api } from "@/shared/api";
import { selectById, selectConnection } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";
import { selectMark } from "./selectors";

const SETTLE_MS = 150;

/** Says that a chat is read, while its end is in sight of somebody. */
export function useMarkRead(chat: number, atEnd: boolean): void {
  const last = useAppSelector((state) => selectById(state, "chat", chat)?.last_number ?? 0);
  const mark = useAppSelector((state) => selectMark(state, chat));
  // What failed while cut off is said again afterwards.
  const connection = useAppSelector(selectConnection);
  const said = useRef(0);

  useEffect(() => {
    if (!atEnd || last <= mark) return;
    const say = () => {
      if (document.visibilityState !== "visible" || last <= said.current) return;
      said.current = last;
      api.put(`/api/chats/${chat}/read`, { number: last }).catch(() => {
        if (said.current === last) said.current = 0;
      });
    };
    const timer = setTimeout(say, SETTLE_MS);
    document.addEventListener("visibilitychange", say);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", say);
    };
  }, [chat, atEnd, last, mark, connection]);
}

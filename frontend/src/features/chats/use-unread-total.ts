import { useEffect, useState } from "react";
import { useAppSelector } from "@/shared/store";
import { selectUnreadTotal } from "./selectors";

const SETTLE_MS = 800;

/**
 * Unread messages over all chats. A rise shows only once it has lasted a moment: what arrives in the open chat is read
 * at once, and would make the title flash.
 */
export function useUnreadTotal(): number {
  const total = useAppSelector(selectUnreadTotal);
  const [settled, setSettled] = useState(total);

  useEffect(() => {
    const timer = setTimeout(() => setSettled(total), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [total]);

  return Math.min(total, settled);
}

import { selectConnection } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";

const STATES = {
  connecting: { text: "Connecting", dot: "bg-edge" },
  live: { text: "Live", dot: "bg-success" },
  offline: { text: "Offline", dot: "bg-warning" },
} as const;

/** Whether what is shown is kept up to date. */
export function ConnectionStatus() {
  const connection = useAppSelector(selectConnection);
  const { text, dot } = STATES[connection];
  return (
    <p
      role="status"
      data-connection={connection}
      className={`flex items-center gap-1.5 text-xs font-medium whitespace-nowrap ${
        connection === "offline" ? "text-warning" : "text-muted"
      }`}
    >
      <span aria-hidden="true" className={`size-2 rounded-full ${dot}`} />
      {text}
    </p>
  );
}

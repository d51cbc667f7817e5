/** What the socket needs of a browser; tests bring their own. */

/** An open or opening connection. */
export interface Socket {
  send(text: string): void;
  close(): void;
}

export interface SocketHandlers {
  onOpen(): void;
  onText(text: string): void;
  onClosed(code: number): void;
}

export interface Environment {
  /** Opens a connection to the live endpoint. */
  connect(handlers: SocketHandlers): Socket;
  /** A clock that only goes forward, in milliseconds. */
  now(): number;
  /** A number from 0 (inclusive) to 1 (exclusive). */
  random(): number;
  /** Calls back whenever a new attempt is likely to succeed, or the network is known to be gone; returns how to stop. */
  watchNetwork(handlers: { onBack: () => void; onGone: () => void }): () => void;
  /** Sends the person to the sign-in page, and back here afterwards. */
  signIn(): void;
  /** Loads the page anew: it was made for somebody else. */
  reload(): void;
}

export const SUBPROTOCOL = "live.v1";
const SIGN_IN = "/sign-in/";

export const browser: Environment = {
  connect({ onOpen, onText, onClosed }) {
    const { protocol, host } = window.location;
    const socket = new WebSocket(`${protocol === "https:" ? "wss:" : "ws:"}//${host}/live`, SUBPROTOCOL);
    socket.onopen = onOpen;
    socket.onmessage = ({ data }) => onText(String(data));
    socket.onclose = ({ code }) => onClosed(code);
    return socket;
  },
  now: () => performance.now(),
  random: Math.random,
  watchNetwork({ onBack, onGone }) {
    // Timers of a hidden page come late: what is seen again should not wait for them.
    const onVisible = () => {
      if (document.visibilityState === "visible") onBack();
    };
    window.addEventListener("online", onBack);
    window.addEventListener("offline", onGone);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      window.removeEventListener("online", onBack);
      window.removeEventListener("offline", onGone);
      document.removeEventListener("visibilitychange", onVisible);
    };
  },
  signIn() {
    const { pathname, search } = window.location;
    if (pathname !== SIGN_IN) window.location.assign(`${SIGN_IN}?next=${encodeURIComponent(pathname + search)}`);
  },
  reload() {
    window.location.reload();
  },
};

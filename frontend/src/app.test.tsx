import { act, render, screen, waitFor } from "@testing-library/react";
import type { AppProps } from "next/app";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import App from "@/pages/_app";
import { selectAll, selectReady } from "@/shared/live/selectors";
import { browser, SUBPROTOCOL } from "@/shared/live/environment";
import type { PageData } from "@/shared/page-data";
import { useAppSelector } from "@/shared/store";

const DATA: PageData = {
  version: 1,
  path: "/chats/",
  now: "2026-11-23T09:00:00.000Z",
  user: 7,
  snapshot: {
    epoch: "e",
    seq: 1,
    orders: {},
    scopes: { "chat:1": { entities: { chat: [{ id: 1, title: "Tea </script>" }] }, bounds: {} } },
  },
};

const sockets: {
  url: string;
  protocol: string;
  close: () => void;
  onclose?: (event: { code: number }) => void;
}[] = [];

function Titles() {
  const ready = useAppSelector(selectReady);
  const chats = useAppSelector((state) => selectAll(state, "chat"));
  return <output>{ready ? chats.map(({ title }) => title).join() : "loading"}</output>;
}

function Broken(): never {
  throw new Error("broken on purpose");
}

function app(data: PageData | undefined, { pathname = "/chats", Component = Titles as AppProps["Component"] } = {}) {
  const props = { Component, pageProps: data ? { data } : {}, router: { pathname } } as unknown as Parameters<
    typeof App
  >[0];
  return <App {...props} />;
}

function sendsAlong(text: string) {
  const block = document.createElement("script");
  block.id = "page-data";
  block.type = "application/json";
  block.textContent = text;
  document.body.append(block);
}

beforeEach(() => {
  sockets.length = 0;
  vi.stubGlobal(
    "WebSocket",
    class {
      close = vi.fn();
      onclose?: (event: { code: number }) => void;
      constructor(
        readonly url: string,
        readonly protocol: string,
      ) {
        sockets.push(this);
      }
    },
  );
});

afterEach(() => {
  document.getElementById("page-data")?.remove();
  delete window.__store__;
});

describe("a rendered page", () => {
  it("has its data in the markup, and hydrates without a fault", () => {
    const error = vi.spyOn(console, "error");
    const container = document.createElement("div");
    container.innerHTML = renderToString(app(DATA));
    expect(container).toHaveTextContent("Tea </script>");
    document.body.append(container);
    render(app(DATA), { container, hydrate: true });
    expect(container).toHaveTextContent("Tea </script>");
    expect(window.__store__?.getState().live.user).toBe(7);
    expect(error).not.toHaveBeenCalled();
    container.remove();
  });

  it("keeps its store over navigations, which bring no data, and one live connection", () => {
    const { rerender, unmount } = render(app(DATA));
    rerender(app(undefined, { pathname: "/people" }));
    expect(screen.getByRole("status")).toHaveTextContent("Tea </script>");
    expect(sockets).toMatchObject([{ url: `ws://${window.location.host}/live`, protocol: SUBPROTOCOL }]);
    unmount();
    expect(sockets[0]?.close).toHaveBeenCalledOnce();
  });
});

describe("an exported page", () => {
  it("is hydrated as it was exported, and then shows what the server sent along", async () => {
    const error = vi.spyOn(console, "error");
    sendsAlong(JSON.stringify(DATA));
    const container = document.createElement("div");
    container.innerHTML = renderToString(app(undefined));
    expect(container).toHaveTextContent("loading");
    document.body.append(container);
    render(app(undefined), { container, hydrate: true });
    await waitFor(() => expect(container).toHaveTextContent("Tea </script>"));
    expect(error).not.toHaveBeenCalled();
    expect(sockets).toHaveLength(1);
    container.remove();
  });

  it("asks the live connection when nothing was sent along, or nothing of use", () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => undefined);
    sendsAlong('{"version": 2}');
    render(app(undefined));
    expect(screen.getByRole("status")).toHaveTextContent("loading");
    expect(error).toHaveBeenCalledOnce();
    expect(sockets).toHaveLength(1);
  });
});

describe("the live connection is not opened", () => {
  it("for strangers", () => {
    render(app({ ...DATA, user: null, snapshot: null }, { pathname: "/404" }));
    expect(sockets).toHaveLength(0);
  });

  it("on the sign-in page of the exported app", () => {
    render(app(undefined, { pathname: "/sign-in" }));
    expect(sockets).toHaveLength(0);
  });
});

describe("a document that comes back from the browser's cache of pages", () => {
  const shown = (persisted: boolean) => window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted }));

  it("is loaded anew if its live connection was given up: somebody else may be signed in", () => {
    const reload = vi.spyOn(browser, "reload").mockImplementation(() => undefined);
    render(app(DATA));
    shown(true);
    expect(reload).not.toHaveBeenCalled();
    act(() => sockets[0]?.onclose?.({ code: 1006 }));
    shown(true);
    expect(reload, "it comes back by itself").not.toHaveBeenCalled();
    vi.spyOn(browser, "signIn").mockImplementation(() => undefined);
    window.dispatchEvent(new Event("online"));
    act(() => sockets[1]?.onclose?.({ code: 4401 }));
    shown(false);
    expect(reload).not.toHaveBeenCalled();
    shown(true);
    expect(reload).toHaveBeenCalledOnce();
  });

  it("is loaded anew if it was for a stranger", () => {
    const reload = vi.spyOn(browser, "reload").mockImplementation(() => undefined);
    const { unmount } = render(app({ ...DATA, user: null, snapshot: null }, { pathname: "/sign-in" }));
    shown(true);
    expect(reload).toHaveBeenCalledOnce();
    unmount();
    shown(true);
    expect(reload).toHaveBeenCalledOnce();
  });
});

describe("a screen that fails", () => {
  it("leaves a message and a way on in the browser", () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    act(() => void render(app(DATA, { Component: Broken })));
    expect(screen.getByRole("alert")).toHaveTextContent("This page stopped working");
    expect(screen.getByRole("button", { name: "Reload" })).toBeVisible();
  });

  it("fails the whole answer on the server", () => {
    expect(() => renderToString(app(DATA, { Component: Broken }))).toThrow("broken on purpose");
  });
});

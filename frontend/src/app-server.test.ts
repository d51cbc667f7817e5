// @vitest-environment node
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { AppContext } from "next/app";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import App from "@/pages/_app";
import { MAX_BODY } from "@/shared/page-data";

let server: Server;

beforeEach(async () => {
  vi.stubEnv("HARNESS_RUN", "run-1");
  server = createServer(async (req, res) => {
    const props = await App.getInitialProps({ ctx: { req, res } } as unknown as AppContext);
    if (!res.writableEnded) res.end(JSON.stringify(props));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function ask(init: RequestInit): Promise<Response> {
  return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, init);
}

it("hands the data of a render request to the page, and proves whose server this is", async () => {
  const data = { version: 1, path: "/", now: "2026-11-23T09:00:00.000Z", user: null, snapshot: null };
  const response = await ask({ method: "POST", body: JSON.stringify(data) });
  expect(response.headers.get("x-harness-run")).toBe("run-1");
  expect(await response.json()).toEqual({ pageProps: { data } });
});

it("renders without data where none was sent", async () => {
  const response = await ask({ method: "GET" });
  expect(response.headers.get("x-harness-run")).toBe("run-1");
  expect(await response.json()).toEqual({ pageProps: {} });
});

it.each([
  [400, "no JSON", "{"],
  [400, "of another version", '{"version":2}'],
  [413, "too large", " ".repeat(MAX_BODY + 1)],
])("answers %i to data that is %s", async (status, _what, body) => {
  const response = await ask({ method: "POST", body });
  expect(response.status).toBe(status);
  expect(await response.text()).toMatch(/^The page data is .*\.\n$/);
});
